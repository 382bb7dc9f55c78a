drop table subject;
