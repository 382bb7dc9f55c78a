//! disintegrate-postgres: `append`, `append10`, `feed`, `stream`.

use disintegrate::{Event, EventStore, StreamItem, query, serde::json::Json};
use disintegrate_postgres::{Error, PgEventStore};
use futures_util::{StreamExt, future::try_join_all};
use load::{Job, Outcome, Report, STREAM_EVENTS, Writer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Executor, PgPool, postgres::PgPoolOptions};

type Store = PgEventStore<Booking, Json<Booking>>;

/// Its own migration with decimal constants: PostgreSQL before 16 refuses the hexadecimal one in it.
const TABLES: &str = "
    create sequence seq_event_event_id;
    create table event (
        event_id bigint primary key default nextval('seq_event_event_id'),
        event_type varchar(255), payload bytea, inserted_at timestamp default now());
    create index idx_event_type_btree on event (event_type);
    alter table event add column account_id text;
    create index idx_event_account_id on event (account_id) where account_id is not null;
    create function event_store_current_epoch() returns bigint as $$
    declare
        persisted_event_id bigint;
        pending_event_id bigint;
        db_id int;
    begin
        select coalesce(max(event_id), 0) into persisted_event_id from event;
        select oid into db_id from pg_database where datname = current_database();
        select min((l3.objid::bigint << 32) + l2.objid::bigint) into pending_event_id
        from pg_locks l1 inner join pg_locks l2 on l1.pid = l2.pid inner join pg_locks l3 on l1.pid = l3.pid
        where l1.classid = db_id and l2.classid = 1 and l3.classid = 2 and l1.locktype = 'advisory';
        return least(coalesce(pending_event_id, persisted_event_id), persisted_event_id);
    end;
    $$ language plpgsql;
    create function event_store_begin_epoch() returns void as $$
    declare
        id bigint;
        db_id int;
    begin
        select last_value into id from seq_event_event_id;
        select oid into db_id from pg_database where datname = current_database();
        perform pg_try_advisory_xact_lock_shared(db_id, 0);
        perform pg_try_advisory_xact_lock_shared(1, (id & 4294967295)::bit(32)::integer);
        perform pg_try_advisory_xact_lock_shared(2, (id >> 32)::bit(32)::integer);
    end;
    $$ language plpgsql;";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
enum Booking {
    MoneyBooked {
        #[id]
        account_id: String,
        data: Value,
    },
}

fn main() {
    let job = Job::from_arguments();
    load::block_on(&job, run(&job)).print();
}

async fn run(job: &Job) -> Report {
    let pool = PgPoolOptions::new()
        .min_connections(job.connections() as u32)
        .max_connections(job.connections() as u32)
        .test_before_acquire(false)
        .connect(&job.url)
        .await
        .expect("PostgreSQL is there");
    pool.execute(TABLES).await.expect("the tables are made");
    open_all(&pool, job.connections()).await;
    let store = Store::new_uninitialized(pool, Json::default());
    match job.case.as_str() {
        "append" | "append10" => {
            let batch = job.batch();
            let appender = |_| Appender {
                store: store.clone(),
                batch,
            };
            load::write(job, (0..job.writers).map(appender).collect()).await
        }
        "feed" => {
            fill(&store, job).await;
            load::read_feed(job, || feed(&store)).await
        }
        "stream" => {
            fill(&store, job).await;
            load::read_streams(job, |stream| stream_of(&store, stream)).await
        }
        other => panic!("disintegrate has no case {other}"),
    }
}

/// The pool opens connections when they are asked for: all at once, before the clock runs.
async fn open_all(pool: &PgPool, connections: usize) {
    let all = (0..connections).map(|_| pool.acquire());
    try_join_all(all).await.expect("all connections open");
}

struct Appender {
    store: Store,
    batch: usize,
}

impl Writer for Appender {
    async fn append(&mut self, stream: usize, known: Option<i64>) -> Outcome {
        let account_id = load::name(stream);
        let query = query!(Booking; account_id == account_id);
        let events = events(stream, self.batch);
        match self.store.append(events, query, known.unwrap_or(0)).await {
            Ok(appended) => Outcome::Appended(appended.last().expect("events").id()),
            Err(error) if is_serialization(&error) => Outcome::Again,
            Err(error) => panic!("an append: {error}"),
        }
    }
}

/// It runs SERIALIZABLE; nobody else writes to these streams, so a refusal is never a true conflict.
fn is_serialization(error: &Error) -> bool {
    match error {
        Error::Concurrency => true,
        Error::Database(sqlx::Error::Database(error)) => error.code().as_deref() == Some("40001"),
        _ => false,
    }
}

fn events(stream: usize, count: usize) -> Vec<Booking> {
    let event = |_| Booking::MoneyBooked {
        account_id: load::name(stream),
        data: serde_json::from_str(&load::payload(stream)).expect("JSON"),
    };
    (0..count).map(event).collect()
}

async fn fill(store: &Store, job: &Job) {
    for stream in 0..job.events / STREAM_EVENTS {
        let events = events(stream, STREAM_EVENTS);
        store
            .append_without_validation(events)
            .await
            .expect("an append");
    }
}

async fn feed(store: &Store) -> u64 {
    let query = query!(Booking);
    let mut all = store.stream(&query);
    let mut read = 0;
    while let Some(item) = all.next().await {
        read += u64::from(matches!(item.expect("an event"), StreamItem::Event(_)));
    }
    read
}

async fn stream_of(store: &Store, stream: usize) -> usize {
    let account_id = load::name(stream);
    let query = query!(Booking; account_id == account_id);
    let mut events = store.stream(&query);
    let mut read = 0;
    while let Some(item) = events.next().await {
        read += usize::from(matches!(item.expect("an event"), StreamItem::Event(_)));
    }
    read
}
