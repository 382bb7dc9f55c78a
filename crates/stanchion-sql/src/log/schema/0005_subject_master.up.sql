-- Which master key sealed a person's key is told by the first nine bytes: found without a look at all of them.
create index subject_by_master on subject (substr(key, 1, 9)) where key is not null;
