drop index inbox_messages_by_age;
drop table redrive;
drop table relay;
drop table consumer_mark;
