-- In the database of a module that consumes: its consumers read every log from the start again. What they have dealt
-- with is known by its key in `inbox`, and has no second effect.
delete from checkpoint where name like 'consumer/%';
