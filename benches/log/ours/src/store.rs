//! Opening the log, and events to append.

use std::sync::Arc;

use load::{Job, STREAM_EVENTS};
use stanchion_eventsourcing::{
    Append, Content, EventLog, Expected, Metadata, NewEvent, StreamId, Version,
};
use stanchion_sql::{DatabaseSettings, DatabaseUrl, Db, Mode, SqlLog, migrate};
use tokio::task::JoinSet;
use uuid::Uuid;

/// The module whose database it is; on PostgreSQL a schema.
pub const MODULE: &str = "bench";
pub const CATEGORY: &str = "account";
pub const KIND: &str = "money_booked";

/// Streams that are filled at the same time.
const FILLERS: usize = 64;

pub async fn database(job: &Job) -> Db {
    let url: DatabaseUrl = job.url.parse().expect("a database URL");
    let settings = DatabaseSettings::default();
    Db::open(&url, MODULE, &settings)
        .await
        .expect("the database is there")
}

/// The log in a fresh database.
pub async fn log(job: &Job) -> (Db, Arc<dyn EventLog>) {
    let db = database(job).await;
    migrate(&db, &[], Mode::Auto)
        .await
        .expect("the tables are made");
    let log = SqlLog::open(db.clone()).await.expect("the log opens");
    (db, Arc::new(log))
}

pub fn stream(stream: usize) -> StreamId {
    StreamId::new(CATEGORY, format!("{stream:05}"))
}

pub fn events(stream: usize, count: usize) -> Vec<NewEvent> {
    let event = |_| NewEvent {
        id: Uuid::now_v7(),
        kind: KIND.to_owned(),
        // The text, as the other drivers have it: what a value costs to put together is not the log's.
        data: Content::from_stored(load::payload(stream)),
    };
    (0..count).map(event).collect()
}

pub fn append(
    number: usize,
    known: Option<i64>,
    events: Vec<NewEvent>,
    metadata: &Metadata,
) -> Append {
    Append {
        stream: stream(number),
        expected: known.map_or(Expected::NoStream, |version| {
            Expected::Exact(Version(version))
        }),
        events,
        inbox: None,
        timers: Vec::new(),
        metadata: metadata.clone(),
    }
}

/// Fills the log with streams of [`STREAM_EVENTS`] events.
pub async fn fill(log: &Arc<dyn EventLog>, job: &Job) {
    let mut tasks = JoinSet::new();
    for filler in 0..FILLERS {
        let (log, streams) = (log.clone(), job.events / STREAM_EVENTS);
        tasks.spawn(async move {
            let metadata = Metadata::new(None);
            for stream in (filler..streams).step_by(FILLERS) {
                let events = events(stream, STREAM_EVENTS);
                log.append(append(stream, None, events, &metadata))
                    .await
                    .expect("an append");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a filler panicked");
    }
}
