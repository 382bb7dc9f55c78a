drop table parked;
drop table checkpoint;
drop table timer;
drop table inbox;
drop table event;
drop table stream;
drop table feed;
