-- The log's identity: one row, made once, part of every checkpoint.
create table feed (
    one integer primary key check (one = 1),
    id uuid not null,
    created_at timestamptz not null
);

-- What the 128-bit stream keys stand for, written once per stream.
create table stream (
    stream uuid primary key,
    category text not null,
    name text not null
);

-- Positions are assigned by the one writer: 1, 2, 3 … in commit order. The rowid is the feed.
create table event (
    position integer primary key,
    stream uuid not null,
    version bigint not null,
    event_id uuid not null unique,
    category text not null,
    type text not null,
    data text not null,
    meta text not null,
    at timestamptz not null,
    checksum bigint not null,
    unique (stream, version)
);
create index event_by_category on event (category, position);

-- Messages and requests dealt with, each with the answer given; a claim has an owner and an expiry.
create table inbox (
    key text primary key,
    fingerprint bytea,
    owner uuid,
    expires_at timestamptz,
    position bigint,
    answer bytea,
    at timestamptz not null
);
-- Only requests have a fingerprint; they are pruned by age.
create index inbox_requests_by_age on inbox (at) where fingerprint is not null;

create table timer (
    stream uuid not null,
    name text not null,
    category text not null,
    due_at timestamptz not null,
    primary key (stream, name)
);
create index timer_by_due on timer (category, due_at);

-- How far a projection or a consumer came in a log, and which event it saw there: a log that went back is noticed.
create table checkpoint (
    name text not null,
    log uuid not null,
    position bigint not null,
    event_id uuid,
    at timestamptz not null,
    primary key (name, log)
);

-- Messages put aside: to be retried, waiting behind one of their key, or dead.
create table parked (
    consumer text not null,
    message_id uuid not null,
    key text not null,
    seq bigint not null,
    state text not null,
    attempts bigint not null,
    due_at timestamptz not null,
    reason text not null,
    message json not null,
    parked_at timestamptz not null,
    primary key (consumer, message_id)
);
create index parked_by_key on parked (consumer, key, seq);
create index parked_by_due on parked (consumer, state, due_at);
