-- How far a consumer came in each line of announcements (a partition of a log, a family of contracts): everything up to
-- there is handled or parked. "ahead": the line goes on up to there at least, and something before it is missing.
create table consumer_mark (
    consumer text not null,
    log uuid not null,
    slot bigint not null,
    family text not null,
    position bigint not null,
    ahead bigint,
    at timestamptz not null,
    primary key (consumer, log, slot, family)
);

-- How far a context's relay came on its way to a broker. A write with a token older than the row's is refused.
create table relay (
    name text not null,
    log uuid not null,
    token bigint not null,
    position bigint not null,
    state text not null,
    at timestamptz not null,
    primary key (name, log)
);

-- What is to be announced again, until the relay has taken it up.
create table redrive (
    id uuid primary key,
    relay text not null,
    wish text not null,
    at timestamptz not null
);

-- Keys of messages have no fingerprint; they are pruned by age where their consumer is past them.
create index inbox_messages_by_age on inbox (at, key) where fingerprint is null;
