alter table codes drop column epoch;
