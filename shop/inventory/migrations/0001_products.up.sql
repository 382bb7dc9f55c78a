-- The list of products: rows of the projection `products`, made of the log and of nothing else.
create table products (
    sku text primary key,
    name text not null,
    name_folded text not null,
    description text not null,
    price_amount bigint not null,
    price_currency text not null,
    -- Decided in the aggregate; if this ever fires, the projection halts and raises the alarm.
    available bigint not null check (available >= 0),
    listed boolean not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create index products_by_created on products (created_at, sku) where listed;
create index products_by_name on products (name_folded, sku) where listed;
create index products_by_price on products (price_amount, sku) where listed;
