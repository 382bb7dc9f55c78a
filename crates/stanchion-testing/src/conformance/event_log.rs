//! What every event log must do.

mod beside;
mod reading;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stanchion_eventsourcing::{
    Append, AppendError, Appended, EventLog, Expected, Filter, Metadata, NewEvent, Position,
    Recorded, StreamId, Version,
};
use stanchion_runtime::{clock, id, task};

use super::{Case, cases, run_all};

type Log = Arc<dyn EventLog>;

const CASES: &[Case<Log>] = cases![
    an_empty_log_says_so,
    versions_and_positions_count_without_a_hole,
    every_expectation_holds_or_conflicts,
    the_same_event_ids_again_are_success_and_nothing_more,
    of_appends_that_race_for_a_version_one_wins,
    neighbours_of_a_refused_append_are_not_refused,
    a_reader_never_skips_an_event_while_many_append,
    an_append_is_wholly_there_or_wholly_not,
    contents_come_back_as_they_went,
    what_can_never_be_appended_is_refused,
];

/// Runs every case, each on a fresh and empty log.
///
/// # Panics
/// At the first case that fails.
pub async fn run(fresh: impl AsyncFn() -> Log) {
    for cases in [CASES, reading::CASES, beside::CASES] {
        run_all("event log", cases, &fresh).await;
    }
}

fn event(kind: &str, data: Value) -> NewEvent {
    NewEvent {
        id: id::new_v7(),
        kind: kind.into(),
        data: data.into(),
    }
}

fn stream(name: impl std::fmt::Display) -> StreamId {
    StreamId::new("order", name.to_string())
}

fn append(stream: &StreamId, expected: Expected, count: usize) -> Append {
    let events = (0..count).map(|n| event("placed", json!({ "n": n })));
    Append {
        stream: stream.clone(),
        expected,
        events: events.collect(),
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(Some("tester".into())),
    }
}

async fn all(log: &Log) -> Vec<Recorded> {
    log.read(Position::START, &Filter::all(), 10_000)
        .await
        .unwrap()
}

async fn stored(log: &Log, stream: &StreamId) -> Vec<Recorded> {
    log.read_stream(stream, Version(0), 10_000).await.unwrap()
}

async fn put(log: &Log, stream: &StreamId, count: usize) -> Appended {
    log.append(append(stream, Expected::Any, count))
        .await
        .unwrap()
}

fn assert_gapless(events: &[Recorded]) {
    for (event, position) in events.iter().zip(1..) {
        assert_eq!(
            event.position,
            Position(position),
            "a hole or a swap in the positions"
        );
    }
}

async fn an_empty_log_says_so(log: Log) {
    assert_eq!(log.head().await.unwrap(), Position::START);
    assert!(all(&log).await.is_empty());
    assert!(stored(&log, &stream("none")).await.is_empty());
    assert_eq!(log.id(), log.id());
}

async fn versions_and_positions_count_without_a_hole(log: Log) {
    let (a, b) = (stream("a"), stream("b"));
    let first = log.append(append(&a, Expected::NoStream, 2)).await.unwrap();
    assert_eq!(
        first,
        Appended {
            position: Position(2),
            version: Some(Version(1))
        }
    );
    put(&log, &b, 1).await;
    let third = log
        .append(append(&a, Expected::Exact(Version(1)), 1))
        .await
        .unwrap();
    assert_eq!(
        third,
        Appended {
            position: Position(4),
            version: Some(Version(2))
        }
    );
    let events = all(&log).await;
    assert_gapless(&events);
    let places: Vec<_> = events
        .iter()
        .map(|e| (e.stream.id().to_owned(), e.version.0))
        .collect();
    assert_eq!(
        places,
        [
            ("a".into(), 0),
            ("a".into(), 1),
            ("b".into(), 0),
            ("a".into(), 2)
        ]
    );
    assert_eq!(log.head().await.unwrap(), Position(4));
}

async fn every_expectation_holds_or_conflicts(log: Log) {
    let v = Version;
    let table = [
        (0, Expected::NoStream, Ok(())),
        (0, Expected::Exact(v(0)), Err(None)),
        (0, Expected::Any, Ok(())),
        (2, Expected::NoStream, Err(Some(v(1)))),
        (2, Expected::Exact(v(0)), Err(Some(v(1)))),
        (2, Expected::Exact(v(1)), Ok(())),
        (2, Expected::Exact(v(2)), Err(Some(v(1)))),
        (2, Expected::Any, Ok(())),
    ];
    for (row, (before, expected, outcome)) in table.into_iter().enumerate() {
        let stream = stream(row);
        if before > 0 {
            put(&log, &stream, before).await;
        }
        let head = log.head().await.unwrap();
        let answer = log.append(append(&stream, expected, 1)).await;
        match (answer, outcome) {
            (Ok(appended), Ok(())) => assert_eq!(appended.version, Some(v(before as i64))),
            (Err(AppendError::Conflict { actual }), Err(wanted)) => {
                assert_eq!(actual, wanted, "row {row}");
                assert_eq!(
                    log.head().await.unwrap(),
                    head,
                    "a refused append left something"
                );
            }
            (answer, outcome) => panic!("row {row}: {answer:?}, not {outcome:?}"),
        }
    }
}

async fn the_same_event_ids_again_are_success_and_nothing_more(log: Log) {
    let stream = stream("a");
    let first = append(&stream, Expected::NoStream, 3);
    let answer = log.append(first.clone()).await.unwrap();
    assert_eq!(log.append(first.clone()).await.unwrap(), answer);
    put(&log, &stream, 1).await;
    assert_eq!(log.append(first).await.unwrap(), answer);
    assert_eq!(all(&log).await.len(), 4);
}

async fn of_appends_that_race_for_a_version_one_wins(log: Log) {
    let stream = stream("a");
    put(&log, &stream, 1).await;
    let racers: Vec<_> = (0..20)
        .map(|_| {
            let (log, one) = (log.clone(), append(&stream, Expected::Exact(Version(0)), 2));
            task::spawn("racer", async move { log.append(one).await })
        })
        .collect();
    let mut won = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(appended) => {
                won += 1;
                assert_eq!(appended.version, Some(Version(2)));
            }
            Err(AppendError::Conflict { actual }) => assert_eq!(actual, Some(Version(2))),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((won, all(&log).await.len()), (1, 3));
}

async fn neighbours_of_a_refused_append_are_not_refused(log: Log) {
    let writers: Vec<_> = (0..64)
        .map(|n| {
            let (log, one) = (log.clone(), append(&stream(n / 4), Expected::NoStream, 3));
            task::spawn("writer", async move { log.append(one).await })
        })
        .collect();
    let mut won = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(_) => won += 1,
            Err(AppendError::Conflict { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let events = all(&log).await;
    assert_gapless(&events);
    assert_eq!((won, events.len()), (16, 48));
}

async fn a_reader_never_skips_an_event_while_many_append(log: Log) {
    const WRITERS: i64 = 8;
    const EACH: i64 = 25;
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let log = log.clone();
            task::spawn("writer", async move {
                for _ in 0..EACH {
                    put(&log, &stream(n), 2).await;
                }
            })
        })
        .collect();
    let mut changes = log.changes();
    let mut seen = Position::START;
    while seen.0 < WRITERS * EACH * 2 {
        changes.borrow_and_update();
        let page = log.read(seen, &Filter::all(), 7).await.unwrap();
        for event in &page {
            assert_eq!(event.position, seen.next(), "the reader skipped an event");
            seen = event.position;
        }
        if page.is_empty() {
            let _ = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn an_append_is_wholly_there_or_wholly_not(log: Log) {
    for n in 0..40 {
        let stream = stream(n);
        let pause = stanchion_runtime::random::jitter(Duration::from_millis(2));
        // The caller goes away; the append does not stop half way.
        let _ =
            tokio::time::timeout(pause, log.append(append(&stream, Expected::NoStream, 5))).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    for n in 0..40 {
        let count = stored(&log, &stream(n)).await.len();
        assert!(count == 0 || count == 5, "{count} of 5 events");
    }
    assert_gapless(&all(&log).await);
}

async fn contents_come_back_as_they_went(log: Log) {
    let contents = [
        Value::Null,
        json!({}),
        json!({"text": "grüße, 世界 \u{1F600} \"quoted\" 'single' $1 ? \\ \n"}),
        json!({"numbers": [0, -1, i64::MAX, u64::MAX, 0.1], "nested": {"a": [{"b": null}]}}),
        json!({"large": "x".repeat(200_000)}),
    ];
    let stream = StreamId::new("odd category", "id/with $1 'quotes' ü");
    let mut one = append(&stream, Expected::NoStream, 0);
    one.metadata.causation_id = Some(id::new_v7());
    one.metadata.trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    one.events = contents
        .into_iter()
        .map(|data| event("changed", data))
        .collect();
    let before = clock::now();
    log.append(one.clone()).await.unwrap();
    let found = stored(&log, &stream).await;
    assert_eq!(found.len(), one.events.len());
    for (found, wanted) in found.iter().zip(&one.events) {
        assert_eq!(
            (found.id, &found.kind, &found.data),
            (wanted.id, &wanted.kind, &wanted.data)
        );
        assert_eq!((&found.stream, &found.metadata), (&stream, &one.metadata));
        assert!(found.at >= before && found.at <= clock::now());
    }
}

async fn what_can_never_be_appended_is_refused(log: Log) {
    let fine = stream("a");
    let mut nameless = append(&fine, Expected::Any, 1);
    nameless.events[0].kind = String::new();
    let table = [
        append(&fine, Expected::Any, 0),
        append(&fine, Expected::Any, Append::EVENTS_MAX + 1),
        append(&StreamId::new("", "a"), Expected::Any, 1),
        append(&StreamId::new("order", "x".repeat(256)), Expected::Any, 1),
        nameless,
    ];
    for (row, wrong) in table.into_iter().enumerate() {
        let answer = log.append(wrong).await;
        assert!(
            matches!(answer, Err(AppendError::Invalid(_))),
            "row {row}: {answer:?}"
        );
    }
    put(&log, &fine, Append::EVENTS_MAX).await;
    assert_eq!(stored(&log, &fine).await.len(), Append::EVENTS_MAX);
}
