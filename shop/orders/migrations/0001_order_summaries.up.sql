-- A row an order, made of the log: lists only, a single order is read from its stream.
create table order_summaries (
    order_id uuid primary key,
    customer_id uuid not null,
    status text not null,
    reason text,
    items json not null,
    total bigint not null,
    currency text not null,
    payment_id uuid not null,
    version bigint not null,
    placed_at timestamptz not null,
    settled_at timestamptz
);
create index order_summaries_by_placed on order_summaries (placed_at, order_id);
create index order_summaries_by_total on order_summaries (total, order_id);
create index order_summaries_by_customer on order_summaries (customer_id, placed_at, order_id);
create index order_summaries_by_status on order_summaries (status, placed_at, order_id);
