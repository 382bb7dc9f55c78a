-- What a mail's link holds, by hash: good for one use, for the address that the mail went to. `id` is the mail's, so
-- that a repeat of it replaces its token.
create table one_time_tokens (
    id         uuid primary key,
    hash       bytea not null,
    purpose    text not null check (purpose in ('verification', 'reset')),
    user_id    uuid not null references users (id),
    email_key  text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at    timestamptz
);
create unique index one_time_tokens_hash on one_time_tokens (hash);
create index one_time_tokens_of_user on one_time_tokens (user_id, purpose, created_at);
create index one_time_tokens_expiry on one_time_tokens (expires_at);

-- Which address of a user was proved to be the user's; another one in `users` is not.
create table verified_emails (
    user_id     uuid primary key references users (id),
    email_key   text not null,
    verified_at timestamptz not null
);

-- Who asked for a new password, as typed and folded, until the mail is handed over. Whether there is such a user is
-- looked up by whoever writes the mail, never by the request.
create table reset_requests (
    id        uuid primary key,
    email_key text not null,
    asked_at  timestamptz not null
);
create index reset_requests_asked_at on reset_requests (asked_at);
