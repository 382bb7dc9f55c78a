-- Who does what only one process may do. The token grows with every holder: a write that carries an old one is refused.
create table lease (
    name text primary key,
    holder uuid not null,
    token bigint not null,
    expires_at timestamptz not null
);
