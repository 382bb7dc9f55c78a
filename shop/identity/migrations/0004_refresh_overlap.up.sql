-- What a refresh token was made with, until it is used: within the overlap the same one is made again.
alter table refresh_tokens add column nonce bytea;

-- Each refresh changes last_used_at: in an index it would cost PostgreSQL a new entry in every index of the table.
create index sessions_by_user on sessions (user_id) where ended_at is null;
drop index sessions_of_user;
