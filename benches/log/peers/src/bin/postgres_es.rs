//! postgres-es (cqrs-es): `append`, `append10`, `feed` (by aggregate sequence: it keeps no order), `stream`.

use std::sync::Arc;

use cqrs_es::{
    Aggregate, DomainEvent,
    event_sink::EventSink,
    persist::{PersistedEventRepository, SerializedEvent},
};
use futures_util::future::try_join_all;
use load::{Job, Outcome, Report, STREAM_EVENTS, Writer};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{Executor, PgPool, postgres::PgPoolOptions};

const TABLES: &str = "
    create table events (
        aggregate_type text not null, aggregate_id text not null,
        sequence bigint check (sequence >= 0) not null,
        event_type text not null, event_version text not null,
        payload json not null, metadata json not null,
        primary key (aggregate_type, aggregate_id, sequence));
    create table snapshots (
        aggregate_type text not null, aggregate_id text not null,
        last_sequence bigint check (last_sequence >= 0) not null,
        current_snapshot bigint check (current_snapshot >= 0) not null,
        payload json not null,
        primary key (aggregate_type, aggregate_id, last_sequence));";

/// Rows between the connection and the reader; the default of 200 makes it wait.
const CHANNEL: usize = 2_000;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Account;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct MoneyBooked(Value);

impl DomainEvent for MoneyBooked {
    fn event_type(&self) -> String {
        "MoneyBooked".into()
    }

    fn event_version(&self) -> String {
        "1.0".into()
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = ();
    type Event = MoneyBooked;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Self::Error> {
        Ok(())
    }

    fn apply(&mut self, _: MoneyBooked) {}
}

fn main() {
    let job = Job::from_arguments();
    load::block_on(&job, run(&job)).print();
}

async fn run(job: &Job) -> Report {
    // Its helper opens ten connections and pings before each use; both would be the limit here.
    let pool = PgPoolOptions::new()
        .min_connections(job.connections() as u32)
        .max_connections(job.connections() as u32)
        .test_before_acquire(false)
        .connect(&job.url)
        .await
        .expect("PostgreSQL is there");
    pool.execute(TABLES).await.expect("the tables are made");
    open_all(&pool, job.connections()).await;
    let store = Arc::new(PostgresEventRepository::new(pool).with_streaming_channel_size(CHANNEL));
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
            load::read_streams(job, |stream| {
                let store = store.clone();
                async move {
                    store
                        .get_events::<Account>(&load::name(stream))
                        .await
                        .unwrap()
                        .len()
                }
            })
            .await
        }
        other => panic!("postgres-es has no case {other}"),
    }
}

/// The pool opens connections when they are asked for: all at once, before the clock runs.
async fn open_all(pool: &PgPool, connections: usize) {
    let all = (0..connections).map(|_| pool.acquire());
    try_join_all(all).await.expect("all connections open");
}

struct Appender {
    store: Arc<PostgresEventRepository>,
    batch: usize,
}

impl Writer for Appender {
    async fn append(&mut self, stream: usize, known: Option<i64>) -> Outcome {
        let first = known.map_or(1, |last| last + 1);
        let events = events(stream, first, self.batch);
        let persisted = self.store.persist::<Account>(&events, None).await;
        persisted.expect("an append");
        Outcome::Appended(first + self.batch as i64 - 1)
    }
}

fn events(stream: usize, first: i64, count: usize) -> Vec<SerializedEvent> {
    let event = |n: usize| {
        SerializedEvent::new(
            load::name(stream),
            first as usize + n,
            Account::TYPE.into(),
            "MoneyBooked".into(),
            "1.0".into(),
            serde_json::from_str(&load::payload(stream)).expect("JSON"),
            json!({}),
        )
    };
    (0..count).map(event).collect()
}

async fn fill(store: &PostgresEventRepository, job: &Job) {
    for stream in 0..job.events / STREAM_EVENTS {
        let events = events(stream, 1, STREAM_EVENTS);
        store
            .persist::<Account>(&events, None)
            .await
            .expect("an append");
    }
}

async fn feed(store: &PostgresEventRepository) -> u64 {
    let mut all = store.stream_all_events::<Account>().await.expect("a feed");
    let mut read = 0;
    while let Some(event) = all.next::<Account>(&[]).await {
        event.expect("an event");
        read += 1;
    }
    read
}
