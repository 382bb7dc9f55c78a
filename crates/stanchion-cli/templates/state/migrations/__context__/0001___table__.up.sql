create table __table__ (
    id uuid primary key,
    name text not null,
    closed boolean not null,
    -- Counts the changes; a change names the version that it was made of.
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create index __table___by_created on __table__ (created_at, id);
