//! A replay in ranges beside each other.

use std::sync::Arc;

use parking_lot::Mutex;
use stanchion_eventsourcing::{Position, ReplayError, replay, split};
use stanchion_messaging::HandlerError;

use crate::support::log_of;

#[tokio::test]
async fn a_parallel_replay_hands_every_entry_over_once_in_order_within_its_range() {
    let log = log_of(2_500).await;
    let ranges = split(log.head().await.unwrap(), 4);
    let seen = Arc::new(Mutex::new(vec![Vec::new(); ranges.len()]));
    let note = Arc::clone(&seen);
    let count = replay(&log, &ranges, move |number, entries| {
        note.lock()[number].extend(entries.iter().map(|entry| entry.position.0));
        async { Ok(()) }
    });
    assert_eq!(count.await.unwrap(), 2_500);
    let all: Vec<i64> = seen.lock().concat();
    assert_eq!(all, (1..=2_500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_replay_that_is_not_everything_says_so() {
    let log = log_of(10).await;
    let short = replay(&log, &[1..=5, 6..=12], |_, _| async { Ok(()) }).await;
    assert!(
        matches!(
            short,
            Err(ReplayError::Incomplete {
                from: Position(6),
                expected: 7,
                read: 5,
                ..
            })
        ),
        "{short:?}"
    );
    let given_up = replay(&log, &[1..=10], |_, _| async {
        Err(HandlerError::Failed("no room".into()))
    });
    let given_up = given_up.await.unwrap_err().to_string();
    assert!(given_up.contains("no room"), "{given_up}");
}
