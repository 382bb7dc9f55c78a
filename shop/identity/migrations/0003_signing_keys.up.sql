-- Private keys, sealed under the key-encryption key, which is not here.
create table signing_keys (
    kid    text primary key,
    state  text not null check (state in ('published', 'signing', 'verify-only')),
    since  timestamptz not null,
    sealed bytea not null
);
