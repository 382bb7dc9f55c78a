-- When a recurring job was last done, and the token of who did it: a write with an older one is refused.
create table job (
    name text primary key,
    token bigint not null,
    done_for timestamptz not null
);
