create table if not exists secrets (
    name text primary key,
    value text not null
);
create table if not exists intents (
    id text primary key,
    body text not null
);
create table if not exists refunds (
    id text primary key,
    intent text not null,
    body text not null
);
create table if not exists answers (
    key text primary key,
    fingerprint blob not null,
    status integer not null,
    body text not null,
    at integer not null
);
create index if not exists answers_by_time on answers (at);
create table if not exists deliveries (
    id text primary key,
    payload text not null,
    attempts integer not null,
    due_at integer not null
);
create index if not exists deliveries_by_due on deliveries (due_at);
