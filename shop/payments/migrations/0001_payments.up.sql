-- A row a payment, made of the log: lists only, a single payment is read from its stream.
create table payments (
    payment_id uuid primary key,
    order_id uuid not null,
    customer_id uuid not null,
    status text not null,
    amount bigint not null,
    currency text not null,
    -- Decided in the aggregate; if this ever fires, the projection halts and raises the alarm.
    refunded bigint not null check (refunded >= 0 and refunded <= amount),
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create index payments_by_created on payments (created_at, payment_id);
create index payments_by_updated on payments (updated_at, payment_id);
create index payments_by_amount on payments (amount, payment_id);
create index payments_by_order on payments (order_id, created_at, payment_id);
create index payments_by_customer on payments (customer_id, created_at, payment_id);
create index payments_by_status on payments (status, created_at, payment_id);
