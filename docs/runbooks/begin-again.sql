-- In the database of a module that consumes: its consumers go on where that log ended when it was restored. LOG is the log's
-- id and HEAD its head, as `shop log status` says them before the service is started on it; in a file of SQLite 'LOG' is x'…',
-- the id without its hyphens. Nothing of the module's work runs meanwhile: what it remembers it would write again.
update checkpoint set position = HEAD, event_id = null
    where name like 'consumer/%' and log = 'LOG' and position > HEAD;
update consumer_mark set position = HEAD, ahead = null
    where log = 'LOG' and position > HEAD;
