-- The ledger, made of the log: the entries of one event (one position) sum to zero.
create table ledger_entries (
    position bigint not null,
    line bigint not null,
    event_id uuid not null,
    payment_id uuid not null,
    account text not null,
    amount bigint not null,
    currency text not null,
    at timestamptz not null,
    primary key (position, line)
);
create index ledger_entries_by_payment on ledger_entries (payment_id, position, line);
create index ledger_entries_by_account on ledger_entries (account, currency, position);
