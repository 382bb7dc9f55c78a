-- A login on one device; its refresh tokens are one family, and its id is `sid` in access tokens.
create table sessions (
    id           uuid primary key,
    user_id      uuid not null references users (id),
    device       text,
    address      text,
    created_at   timestamptz not null,
    last_used_at timestamptz not null,
    expires_at   timestamptz not null,
    ended_at     timestamptz,
    end_reason   text
);
create index sessions_of_user on sessions (user_id, last_used_at) where ended_at is null;
create index sessions_expiry on sessions (expires_at);

-- What was handed out, by hash. At most one of a family is live.
create table refresh_tokens (
    hash       bytea primary key,
    session_id uuid not null references sessions (id),
    generation bigint not null,
    parent     bytea,
    state      text not null check (state in ('live', 'used')),
    expires_at timestamptz not null,
    used_at    timestamptz
);
create unique index refresh_tokens_live on refresh_tokens (session_id) where state = 'live';
create unique index refresh_tokens_generation on refresh_tokens (session_id, generation);
