drop table consumer_start;
