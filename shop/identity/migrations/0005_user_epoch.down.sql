alter table users drop column epoch;
