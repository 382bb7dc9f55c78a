-- The stores of the services that are compared: the same tables for all languages.
create table clients (
    id          text primary key,
    secret_hash bytea not null,
    created_at  timestamptz not null default now()
);

-- One session is one family of refresh tokens.
create table sessions (
    id           uuid primary key,
    client_id    text not null references clients (id),
    user_id      uuid not null,
    created_at   timestamptz not null default now(),
    last_used_at timestamptz not null default now(),
    expires_at   timestamptz not null,
    ended_at     timestamptz
);

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
