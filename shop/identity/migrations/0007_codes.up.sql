-- What a user let a client do: a session that was not begun by a login of our own.
create table grants (
    session_id       uuid primary key references sessions (id) on delete cascade,
    client_id        uuid not null references clients (id),
    user_id          uuid not null references users (id),
    scopes           text not null,
    authenticated_at timestamptz not null
);
create index grants_of_client on grants (client_id);

-- Authorization codes, by hash. A used one names the session that it became: a second use ends that session.
create table codes (
    hash             bytea primary key,
    client_id        uuid not null references clients (id),
    user_id          uuid not null references users (id),
    redirect_uri     text not null,
    scopes           text not null,
    nonce            text,
    challenge        bytea not null,
    credentials      bytea not null,
    authenticated_at timestamptz not null,
    expires_at       timestamptz not null,
    session_id       uuid references sessions (id) on delete cascade
);
create index codes_expiry on codes (expires_at);
create index codes_of_session on codes (session_id);
