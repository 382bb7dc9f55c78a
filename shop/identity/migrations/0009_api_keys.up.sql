-- Keys of users and services, by hash. `owner` is a subject: a user's id, or `svc:NAME`.
create table api_keys (
    id           uuid primary key,
    hash         bytea not null,
    owner        text not null,
    user_id      uuid references users (id),
    name         text not null,
    hint         text not null,
    scopes       text not null,
    created_at   timestamptz not null,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz
);
create unique index api_keys_hash on api_keys (hash);
create index api_keys_of_owner on api_keys (owner, created_at) where revoked_at is null;
create index api_keys_of_user on api_keys (user_id);
