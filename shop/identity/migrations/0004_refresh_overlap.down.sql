create index sessions_of_user on sessions (user_id, last_used_at) where ended_at is null;
drop index sessions_by_user;
alter table refresh_tokens drop column nonce;
