drop table turn;
drop table users;
