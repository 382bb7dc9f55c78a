-- A key per person, for the fields that are about them. Without it they cannot be read again: the row that stays is the proof.
create table subject (
    subject text primary key,
    key bytea,
    created_at timestamptz not null,
    shredded_at timestamptz
);
