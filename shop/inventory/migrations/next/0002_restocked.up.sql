-- When a product was last restocked; of a release that is only rehearsed. Older binaries do not look at it.
alter table products add column restocked_at timestamptz;
