//! What commits with the events: inbox keys and timers.

use jiff::{SignedDuration, Timestamp};
use stanchion_eventsourcing::{
    Append, AppendError, Appended, DueTimer, Expected, Position, StreamId, TimerChange,
};
use stanchion_messaging::{InboxEntry, InboxKey};
use stanchion_runtime::{clock, id, task};

use super::{Log, all, append, put, stream};
use crate::conformance::{Case, cases};

pub(super) const CASES: &[Case<Log>] = cases![
    a_known_inbox_key_drops_the_append_and_tells_the_first_answer,
    an_inbox_entry_needs_no_event,
    a_claim_that_nobody_holds_is_lost,
    timers_commit_with_their_events,
    a_timer_that_was_set_anew_is_not_cleared,
];

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
