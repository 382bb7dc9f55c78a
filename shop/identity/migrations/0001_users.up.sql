-- Living and deleted users. An address and a username are taken by living ones only.
-- `search` holds all that a user is known by, folded: the databases do not fold letters alike.
create table users (
    id            uuid primary key,
    email         text not null,
    email_key     text not null,
    username      text not null,
    first_name    text,
    last_name     text,
    search        text not null,
    status        text not null check (status in ('active', 'suspended')),
    roles         text not null,
    password_hash text not null,
    version       bigint not null check (version > 0),
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    last_login_at timestamptz,
    deleted_at    timestamptz
);
create unique index users_email_key on users (email_key) where deleted_at is null;
create unique index users_username on users (username) where deleted_at is null;
create index users_created_at on users (created_at, id) where deleted_at is null;

-- One row: whoever locks it may make the first administrator or turn the signing keys.
create table turn (
    id bigint primary key
);
insert into turn (id) values (1);
