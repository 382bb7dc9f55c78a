-- The instances of processes that have not ended, made of the log: how an operator finds one. No reason: it is not paused.
create table process_instance (
    category text not null,
    id text not null,
    definition bigint not null,
    state text not null,
    step text,
    reason text,
    begun_at timestamptz not null,
    changed_at timestamptz not null,
    primary key (category, id)
);
