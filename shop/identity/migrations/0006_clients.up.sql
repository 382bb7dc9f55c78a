-- Programs that get tokens. A confidential one has a secret, of which only the hash is here; a public one has none.
-- Lists are words with one space between them.
create table clients (
    id              uuid primary key,
    name            text not null,
    secret_hash     bytea,
    redirect_uris   text not null,
    flows           text not null,
    scopes          text not null,
    resource_server boolean not null,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    disabled_at     timestamptz
);

-- Access tokens that clients gave back before their time; those of users end with their session instead.
create table revoked_tokens (
    id         uuid primary key,
    expires_at timestamptz not null
);
create index revoked_tokens_expiry on revoked_tokens (expires_at);
