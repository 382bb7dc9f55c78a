//! Several logs on one store, as several processes have them, on the same streams.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::json;
use stanchion_eventsourcing::{
    Append, AppendError, EventLog, Expected, Filter, Metadata, NewEvent, Position, Recorded,
    StreamId, Version,
};
use stanchion_runtime::{id, task};
use stanchion_sql::{DatabaseSettings, DatabaseUrl, Db, Mode, SqlLog, UnitOfWork, migrate};
use support::postgres_url;
use uuid::Uuid;

const STREAMS: usize = 6;

fn append(stream: &str, expected: Expected, events: usize) -> Append {
    let event = |n| NewEvent {
        id: id::new_v7(),
        kind: "placed".into(),
        data: json!({ "n": n }).into(),
    };
    Append {
        stream: StreamId::new("order", stream),
        expected,
        events: (0..events).map(event).collect(),
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    }
}

async fn open(url: &DatabaseUrl) -> (Db, Arc<SqlLog>) {
    let db = Db::open(url, "orders", &DatabaseSettings::default())
        .await
        .unwrap();
    migrate(&db, &[], Mode::Auto).await.unwrap();
    let log = SqlLog::open(db.clone()).await.unwrap();
    (db, Arc::new(log))
}

async fn all(log: &SqlLog) -> Vec<Recorded> {
    log.read(Position::START, &Filter::all(), 10_000)
        .await
        .unwrap()
}

/// No hole and no swap, in the log and in each stream; the ids in it.
fn assert_whole(entries: &[Recorded]) -> HashSet<Uuid> {
    let mut versions: HashMap<StreamId, i64> = HashMap::new();
    for (entry, position) in entries.iter().zip(1..) {
        assert_eq!(entry.position, Position(position));
        let next = versions.entry(entry.stream.clone()).or_insert(0);
        assert_eq!(entry.version, Version(*next), "in {}", entry.stream);
        *next += 1;
    }
    let ids: HashSet<Uuid> = entries.iter().map(|entry| entry.id).collect();
    assert_eq!(ids.len(), entries.len(), "an event is there twice");
    ids
}

/// Appends with the version it believes the stream is at; a conflict tells it better. The ids that were acknowledged.
async fn fight(log: Arc<SqlLog>, writer: usize, rounds: usize) -> Vec<Uuid> {
    let mut believed: HashMap<usize, Option<Version>> = HashMap::new();
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let stream = (writer + round) % STREAMS;
        let version = believed.entry(stream).or_insert(None);
        let expected = version.map_or(Expected::NoStream, Expected::Exact);
        let one = append(&stream.to_string(), expected, 3);
        let ids: Vec<Uuid> = one.events.iter().map(|event| event.id).collect();
        match log.append(one).await {
            Ok(appended) => {
                *version = appended.version;
                acknowledged.extend(ids);
            }
            Err(AppendError::Conflict { actual }) => *version = actual,
            Err(other) => panic!("{other}"),
        }
    }
    acknowledged
}

/// Units of work on the same streams; the ids that were acknowledged.
async fn work(db: Db, rounds: usize) -> Vec<Uuid> {
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let one = append(&(round % STREAMS).to_string(), Expected::Any, 2);
        let ids = one.events.iter().map(|event| event.id);
        let ids: Vec<Uuid> = ids.collect();
        let mut unit = UnitOfWork::begin(&db);
        unit.append(one);
        unit.commit().await.unwrap();
        acknowledged.extend(ids);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_on_the_same_streams_leave_no_hole_and_store_what_they_acknowledge() {
    let Some(url) = postgres_url() else { return };
    let mut tasks = Vec::new();
    let mut reader = None;
    for _ in 0..3 {
        let (db, log) = open(&url).await;
        for writer in 0..6 {
            tasks.push(task::spawn("writer", fight(Arc::clone(&log), writer, 40)));
        }
        tasks.push(task::spawn("worker", work(db, 15)));
        reader = Some(log);
    }
    let mut acknowledged = HashSet::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    let stored = assert_whole(&all(&reader.unwrap()).await);
    assert_eq!(stored, acknowledged);
    assert!(stored.len() > 100, "hardly anything was appended");
}

#[tokio::test]
async fn what_another_process_wrote_is_found_out_by_the_one_that_remembers_less() {
    let Some(url) = postgres_url() else { return };
    let (_one, one) = open(&url).await;
    let (_two, two) = open(&url).await;
    one.append(append("a", Expected::NoStream, 1))
        .await
        .unwrap();
    two.append(append("a", Expected::Any, 2)).await.unwrap();
    let refused = one
        .append(append("a", Expected::Exact(Version(0)), 1))
        .await;
    let Err(AppendError::Conflict { actual }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(actual, Some(Version(2)));
    two.append(append("a", Expected::Any, 1)).await.unwrap();
    let appended = one.append(append("a", Expected::Any, 1)).await.unwrap();
    assert_eq!(appended.version, Some(Version(4)));
    assert_eq!(assert_whole(&all(&one).await).len(), 5);
}

#[tokio::test]
async fn in_a_shared_transaction_only_the_misled_append_is_refused() {
    let Some(url) = postgres_url() else { return };
    let (_one, one) = open(&url).await;
    let (_two, two) = open(&url).await;
    for stream in 0..20 {
        one.append(append(&stream.to_string(), Expected::NoStream, 1))
            .await
            .unwrap();
    }
    // Behind the first one's back.
    two.append(append("7", Expected::Any, 1)).await.unwrap();
    let again = append("3", Expected::Exact(Version(0)), 1);
    one.append(again.clone()).await.unwrap();
    let mut racing = Vec::new();
    for stream in 0..20 {
        let one = Arc::clone(&one);
        let mut append = append(&stream.to_string(), Expected::Exact(Version(0)), 1);
        if stream == 3 {
            append = again.clone();
        }
        racing.push(task::spawn(
            "writer",
            async move { one.append(append).await },
        ));
    }
    for (stream, racing) in racing.into_iter().enumerate() {
        match racing.await.unwrap() {
            Ok(appended) => assert_eq!(appended.version, Some(Version(1)), "stream {stream}"),
            Err(AppendError::Conflict { actual }) => {
                assert_eq!((stream, actual), (7, Some(Version(1))));
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(assert_whole(&all(&one).await).len(), 40);
}

#[tokio::test]
async fn readers_of_the_appending_process_are_served_without_a_hole() {
    let Some(url) = postgres_url() else { return };
    let (_one, one) = open(&url).await;
    let (_two, two) = open(&url).await;
    let _follower = one.changes();
    let mut seen = Position::START;
    for round in 0..30 {
        let by = if round % 5 == 3 { &two } else { &one };
        by.append(append("a", Expected::Any, 2)).await.unwrap();
        if round % 3 == 2 {
            let head = one.head().await.unwrap();
            let page = one.read(seen, &Filter::all(), 100).await.unwrap();
            for entry in page {
                assert_eq!(entry.position, seen.next());
                seen = entry.position;
            }
            assert_eq!(seen, head, "the page ended too early");
        }
    }
    assert_eq!(seen, Position(60));
}
