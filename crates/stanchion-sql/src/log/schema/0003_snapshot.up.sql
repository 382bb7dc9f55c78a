-- The newest remembered state of a stream: a short cut that may be deleted at any time.
create table snapshot (
    stream uuid primary key,
    version bigint not null,
    schema bigint not null,
    data text not null,
    at timestamptz not null
);
