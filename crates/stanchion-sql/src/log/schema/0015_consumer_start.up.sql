-- After which place of a log that it reads itself a consumer's processes began last, and how many did one after the other: what ends its
-- process at its first attempt each time is found so. One row a consumer and log.
create table consumer_start (
    consumer text not null,
    log uuid not null,
    position bigint not null,
    times bigint not null,
    at timestamptz not null,
    primary key (consumer, log)
);
