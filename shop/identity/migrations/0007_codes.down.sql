drop table codes;
drop table grants;
