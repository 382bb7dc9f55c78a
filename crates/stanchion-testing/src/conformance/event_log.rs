//! What every event log must do.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stanchion_eventsourcing::{
    Append, AppendError, Appended, DueTimer, EventLog, Expected, Filter, Metadata, NewEvent,
    Position, Recorded, StreamId, TimerChange, Version,
};
use stanchion_messaging::{InboxEntry, InboxKey};
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
    a_stream_is_read_in_parts,
    a_stream_is_read_backward,
    the_log_is_read_by_category_and_in_parts,
    the_log_is_read_by_type,
    whoever_follows_is_told,
    a_known_inbox_key_drops_the_append_and_tells_the_first_answer,
    an_inbox_entry_needs_no_event,
    a_claim_that_nobody_holds_is_lost,
    timers_commit_with_their_events,
    a_timer_that_was_set_anew_is_not_cleared,
    what_can_never_be_appended_is_refused,
];

/// Runs every case, each on a fresh and empty log.
///
/// # Panics
/// At the first case that fails.
pub async fn run(fresh: impl AsyncFn() -> Log) {
    run_all("event log", CASES, fresh).await;
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

async fn a_stream_is_read_in_parts(log: Log) {
    let stream = stream("a");
    put(&log, &stream, 5).await;
    let versions = async |from, limit| -> Vec<i64> {
        let found = log
            .read_stream(&stream, Version(from), limit)
            .await
            .unwrap();
        found.iter().map(|event| event.version.0).collect()
    };
    assert_eq!(versions(0, 2).await, [0, 1]);
    assert_eq!(versions(2, 2).await, [2, 3]);
    assert_eq!(versions(4, 10).await, [4]);
    assert!(versions(5, 10).await.is_empty());
}

async fn a_stream_is_read_backward(log: Log) {
    let stream = stream("a");
    put(&log, &StreamId::new("order", "b"), 1).await;
    put(&log, &stream, 5).await;
    let versions = async |from: Option<i64>, limit| -> Vec<i64> {
        let from = from.map(Version);
        let found = log.read_stream_backward(&stream, from, limit).await;
        found.unwrap().iter().map(|event| event.version.0).collect()
    };
    assert_eq!(versions(None, 2).await, [4, 3]);
    assert_eq!(versions(Some(2), 10).await, [2, 1, 0]);
    assert_eq!(versions(Some(0), 10).await, [0]);
    assert_eq!(versions(Some(9), 1).await, [4], "beyond its end");
    assert!(versions(None, 0).await.is_empty());
    let nowhere = StreamId::new("order", "nowhere");
    let found = log.read_stream_backward(&nowhere, None, 10).await;
    assert!(found.unwrap().is_empty());
}

async fn the_log_is_read_by_type(log: Log) {
    for (n, kind) in ["placed", "paid", "sent", "placed", "paid"]
        .iter()
        .enumerate()
    {
        let category = ["order", "payment"][n % 2];
        let mut one = append(&StreamId::new(category, "1"), Expected::Any, 0);
        one.events = vec![event(kind, json!({}))];
        log.append(one).await.unwrap();
    }
    let positions = async |categories: &[&str], types: &[&str], after, limit| -> Vec<i64> {
        let owned = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect();
        let filter = Filter {
            categories: owned(categories),
            types: owned(types),
        };
        let found = log.read(Position(after), &filter, limit).await.unwrap();
        found.iter().map(|event| event.position.0).collect()
    };
    assert_eq!(positions(&[], &["paid"], 0, 10).await, [2, 5]);
    assert_eq!(positions(&[], &["placed", "sent"], 1, 10).await, [3, 4]);
    assert_eq!(positions(&[], &["placed", "sent"], 0, 2).await, [1, 3]);
    assert_eq!(positions(&["payment"], &["placed"], 0, 10).await, [4]);
    assert!(positions(&["payment"], &["sent"], 0, 10).await.is_empty());
}

async fn the_log_is_read_by_category_and_in_parts(log: Log) {
    for n in 0..6 {
        let category = ["order", "payment", "stock"][n % 3];
        put(&log, &StreamId::new(category, "1"), 1).await;
    }
    let positions = async |filter: &Filter, after, limit| -> Vec<i64> {
        let found = log.read(Position(after), filter, limit).await.unwrap();
        found.iter().map(|event| event.position.0).collect()
    };
    let payments = Filter::category("payment");
    let two = Filter {
        categories: vec!["order".into(), "stock".into()],
        ..Filter::default()
    };
    assert_eq!(positions(&payments, 0, 10).await, [2, 5]);
    assert_eq!(positions(&payments, 2, 10).await, [5]);
    assert_eq!(positions(&two, 0, 3).await, [1, 3, 4]);
    assert_eq!(positions(&Filter::all(), 4, 10).await, [5, 6]);
    assert!(positions(&Filter::category("none"), 0, 10).await.is_empty());
}

async fn whoever_follows_is_told(log: Log) {
    let mut changes = log.changes();
    let appended = put(&log, &stream("a"), 1).await;
    let told = tokio::time::timeout(
        Duration::from_secs(5),
        changes.wait_for(|at| *at >= appended.position),
    );
    assert!(told.await.is_ok(), "nobody said that the log grew");
}

async fn a_known_inbox_key_drops_the_append_and_tells_the_first_answer(log: Log) {
    let stream = stream("a");
    let entry = InboxEntry {
        key: InboxKey::message("consumer", id::new_v7(), None),
        owner: None,
        answer: Some(b"first".to_vec()),
    };
    let with = |answer: &[u8]| {
        let entry = InboxEntry {
            answer: Some(answer.to_vec()),
            ..entry.clone()
        };
        Append {
            inbox: Some(entry),
            ..append(&stream, Expected::Any, 1)
        }
    };
    let first = log.append(with(b"first")).await.unwrap();
    match log.append(with(b"second")).await {
        Err(AppendError::AlreadyHandled { answer, position }) => {
            assert_eq!(
                (answer, position),
                (Some(b"first".to_vec()), Some(first.position))
            );
        }
        other => panic!("{other:?}"),
    }
    let racers: Vec<_> = (0..10)
        .map(|_| {
            let key = InboxKey::message("consumer", entry_id(&entry), Some("race"));
            let one = Append {
                inbox: Some(InboxEntry::new(key)),
                ..append(&self::stream(id::new_v7()), Expected::Any, 1)
            };
            let log = log.clone();
            task::spawn("racer", async move { log.append(one).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for racer in racers {
        won += i32::from(racer.await.unwrap());
    }
    assert_eq!((won, all(&log).await.len()), (1, 2));
}

/// Any id that is the same for all racers.
fn entry_id(entry: &InboxEntry) -> uuid::Uuid {
    id::derived(&uuid::Uuid::NAMESPACE_OID, entry.key.as_str().as_bytes())
}

async fn an_inbox_entry_needs_no_event(log: Log) {
    put(&log, &stream("other"), 2).await;
    let key = InboxKey::message("consumer", id::new_v7(), None);
    let one = Append {
        inbox: Some(InboxEntry::new(key)),
        ..append(&stream("a"), Expected::Any, 0)
    };
    let appended = log.append(one.clone()).await.unwrap();
    assert_eq!(
        appended,
        Appended {
            position: Position(2),
            version: None
        }
    );
    assert!(matches!(
        log.append(one).await,
        Err(AppendError::AlreadyHandled { .. })
    ));
    assert_eq!(log.head().await.unwrap(), Position(2));
}

async fn a_claim_that_nobody_holds_is_lost(log: Log) {
    let entry = InboxEntry {
        key: InboxKey::request("caller", "POST /orders", "key"),
        owner: Some(id::new_v7()),
        answer: None,
    };
    let one = Append {
        inbox: Some(entry),
        ..append(&stream("a"), Expected::Any, 1)
    };
    assert!(matches!(log.append(one).await, Err(AppendError::ClaimLost)));
    assert!(all(&log).await.is_empty());
}

fn set(name: &str, due_at: Timestamp) -> TimerChange {
    TimerChange::Set {
        name: name.into(),
        due_at,
    }
}

async fn timers_commit_with_their_events(log: Log) {
    let now = clock::now();
    let at = |seconds| now + SignedDuration::from_secs(seconds);
    let (a, b, foreign) = (stream("a"), stream("b"), StreamId::new("payment", "a"));
    let with = |stream: &StreamId, expected, timers| Append {
        timers,
        ..append(stream, expected, 1)
    };
    log.append(with(
        &a,
        Expected::Any,
        vec![set("late", at(-1)), set("future", at(60))],
    ))
    .await
    .unwrap();
    log.append(with(
        &b,
        Expected::Any,
        vec![set("late", at(-2)), set("gone", at(-3))],
    ))
    .await
    .unwrap();
    log.append(with(&foreign, Expected::Any, vec![set("late", at(-9))]))
        .await
        .unwrap();
    let refused = with(&a, Expected::NoStream, vec![set("never", at(-5))]);
    assert!(log.append(refused).await.is_err());
    let clear = TimerChange::Clear {
        name: "gone".into(),
    };
    log.append(with(&b, Expected::Any, vec![clear]))
        .await
        .unwrap();
    let due = async |now, limit| log.due_timers("order", now, limit).await.unwrap();
    let timer = |stream: &StreamId, name: &str, due_at| DueTimer {
        stream: stream.clone(),
        name: name.into(),
        due_at,
    };
    assert_eq!(
        due(now, 10).await,
        [timer(&b, "late", at(-2)), timer(&a, "late", at(-1))]
    );
    assert_eq!(due(now, 1).await.len(), 1);
    assert_eq!(due(at(60), 10).await.len(), 3);
}

async fn a_timer_that_was_set_anew_is_not_cleared(log: Log) {
    let now = clock::now();
    let stream = stream("a");
    let with = |at| Append {
        timers: vec![set("t", at)],
        ..append(&stream, Expected::Any, 1)
    };
    log.append(with(now)).await.unwrap();
    let due = log.due_timers("order", now, 10).await.unwrap();
    let later = now + SignedDuration::from_secs(5);
    log.append(with(later)).await.unwrap();
    log.clear_timer(&due[0]).await.unwrap();
    let left = log.due_timers("order", later, 10).await.unwrap();
    assert_eq!((left.len(), left[0].due_at), (1, later));
    log.clear_timer(&left[0]).await.unwrap();
    assert!(log.due_timers("order", later, 10).await.unwrap().is_empty());
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
