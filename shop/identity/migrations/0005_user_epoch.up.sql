-- Goes up with whatever takes something from a user: roles, password, status, all sessions at once.
alter table users add column epoch bigint not null default 0;
