//! What takes long, and what cannot be read, keeps nobody else waiting.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_messaging::{
    Consumer, ConsumerLimits, ConsumerStore, HandlerError, MemoryConsumerStore, Metadata, Parked,
    ParkedState,
};
use stanchion_runtime::task;
use support::{Away, CONSUMER, Painted, Walls, broker, failed_before, hasty, message};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Starts a consumer of these feeds whose handling takes as long as is said for a wall and its attempt; what it has handled.
fn paints(
    feeds: Vec<Arc<Walls>>,
    handles: impl Fn(&str, usize) -> (Duration, Result<(), HandlerError>) + Send + Sync + 'static,
) -> Arc<Mutex<Vec<(String, Duration)>>> {
    let broker = broker(&feeds);
    let (handled, attempts) = (Arc::default(), Mutex::new(Vec::<String>::new()));
    let (seen, start) = (Arc::clone(&handled), Instant::now());
    let limits = ConsumerLimits {
        backoff_max: Duration::from_millis(200),
        ..ConsumerLimits::default()
    };
    let store = Arc::new(MemoryConsumerStore::default());
    let consumer = Consumer::new(CONSUMER, store, Arc::new(broker)).limits(limits);
    let consumer = consumer.on(move |painted: Painted, _| {
        let attempt = {
            let mut attempts = attempts.lock();
            attempts.push(painted.wall.clone());
            attempts
                .iter()
                .filter(|wall| **wall == painted.wall)
                .count()
        };
        let (takes, ends) = handles(&painted.wall, attempt);
        let seen: Arc<Mutex<Vec<(String, Duration)>>> = Arc::clone(&seen);
        async move {
            tokio::time::sleep(takes).await;
            if ends.is_ok() {
                seen.lock().push((painted.wall, start.elapsed()));
            }
            ends
        }
    });
    drop(task::spawn(
        CONSUMER,
        consumer.run(CancellationToken::new()),
    ));
    handled
}

fn walls(log: u128, walls: &[&str]) -> Arc<Walls> {
    Arc::new(Walls::of(log, walls))
}

/// Those, and then an entry that cannot be read.
fn walls_ending_badly(log: u128, walls: &[&str]) -> Arc<Walls> {
    Arc::new(Walls::of(log, walls).ending_badly())
}

fn names(handled: &Mutex<Vec<(String, Duration)>>) -> Vec<String> {
    let handled = handled.lock();
    handled.iter().map(|(wall, _)| wall.clone()).collect()
}

/// A minute, of which handlers that take half of it are most.
const MINUTE: Duration = Duration::from_secs(60);

/// When the first one was handled; a retry is due by the clock on the wall, which no test stops.
async fn first(handled: &Mutex<Vec<(String, Duration)>>) -> (String, Duration) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if let Some(first) = handled.lock().first() {
                return first.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.expect("nothing was handled")
}

#[tokio::test]
async fn a_retry_that_takes_long_keeps_no_other_key_waiting() {
    let failed = || Err(HandlerError::Failed("the ladder fell".into()));
    let slow = Duration::from_secs(10);
    let feeds = vec![walls(1, &["slow", "quick"])];
    let handled = paints(feeds, move |wall, attempt| match (wall, attempt) {
        (_, 1) => (Duration::ZERO, failed()),
        ("slow", _) => (slow, failed()),
        // Its second attempt is beside the slow one's.
        (_, 2) => (Duration::from_millis(100), failed()),
        _ => (Duration::ZERO, Ok(())),
    });
    let (wall, after) = first(&handled).await;
    assert!(wall == "quick" && after < slow, "{wall} {after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_cannot_be_read_interrupts_nobody_who_handles_what_another_brought() {
    let feeds = vec![walls(1, &["north", "south"]), walls_ending_badly(2, &[])];
    let handled = paints(feeds, |_, _| (Duration::from_secs(20), Ok(())));
    tokio::time::sleep(MINUTE).await;
    assert_eq!(names(&handled), ["north", "south"]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_before_an_entry_that_cannot_be_read_is_handled_once() {
    let feeds = vec![walls_ending_badly(1, &["north", "south"])];
    let handled = paints(feeds, |_, _| (Duration::from_secs(20), Ok(())));
    tokio::time::sleep(MINUTE * 3).await;
    assert_eq!(names(&handled), ["north", "south"]);
}

#[tokio::test]
async fn what_failed_is_tried_again_while_its_feed_cannot_be_read() {
    let handled = paints(vec![walls_ending_badly(1, &["north"])], |_, attempt| {
        let ends = match attempt {
            1 | 2 => Err(HandlerError::Failed("the ladder fell".into())),
            _ => Ok(()),
        };
        (Duration::from_millis(100), ends)
    });
    assert_eq!(first(&handled).await.0, "north");
}

#[tokio::test]
async fn what_failed_is_tried_again_while_the_broker_cannot_be_subscribed_to() {
    for is_silent in [false, true] {
        let store = Arc::new(MemoryConsumerStore::default());
        // It was tried without being counted.
        let parked = failed_before(message(1, 1, "north"), 0);
        store.park(&parked).await.unwrap();
        let (handled, start) = (Arc::new(Mutex::default()), Instant::now());
        let seen: Arc<Mutex<Vec<(String, Duration)>>> = Arc::clone(&handled);
        let away = Away {
            is_silent,
            ..Away::default()
        };
        let consumer = Consumer::new(CONSUMER, store, Arc::new(away));
        let consumer = consumer.on(move |painted: Painted, _| {
            seen.lock().push((painted.wall, start.elapsed()));
            async { Ok(()) }
        });
        let stop = CancellationToken::new();
        let running = task::spawn(CONSUMER, consumer.run(stop.clone()));
        assert_eq!(first(&handled).await.0, "north");
        // A stop waits for what is handled, and nothing is.
        stop.cancel();
        let stopped = tokio::time::timeout(Duration::from_secs(2), running).await;
        stopped.expect("it waits for the broker").unwrap();
    }
}

/// An abort, or no memory: nothing can be written any more.
#[tokio::test]
async fn a_retry_that_ends_its_process_each_time_is_a_dead_letter_after_the_last_attempt() {
    let store = Arc::new(MemoryConsumerStore::default());
    let parked = failed_before(message(1, 1, "north"), 0);
    store.park(&parked).await.unwrap();
    let begun = Arc::new(AtomicUsize::new(0));
    for process in 1..=4 {
        let begins = Arc::clone(&begun);
        let consumer = Consumer::new(CONSUMER, Arc::clone(&store) as _, Away::silent());
        let consumer = consumer.limits(hasty());
        let consumer = consumer.on(move |_: Painted, _| {
            begins.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<Result<(), HandlerError>>()
        });
        let running = task::spawn(CONSUMER, consumer.run(CancellationToken::new()));
        let ended = tokio::time::timeout(Duration::from_secs(20), async {
            while begun.load(Ordering::SeqCst) < process
                && store.counts(CONSUMER).await.unwrap() != [(ParkedState::Dead, 1)]
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        ended.await.expect("neither tried nor given up");
        running.abort();
        let _aborted = running.await;
        // As if it had waited until nobody can be at it any more.
        let mut left = store.find(parked.message.id).await.unwrap().remove(0);
        left.due_at = parked.due_at;
        store.park_again(&left).await.unwrap();
    }
    assert_eq!(begun.load(Ordering::SeqCst), 3);
    let dead = store.find(parked.message.id).await.unwrap();
    assert_eq!((dead[0].state, dead[0].attempts), (ParkedState::Dead, 3));
    assert!(dead[0].reason.starts_with("its last attempt ended"));
}

#[tokio::test]
async fn what_a_clock_put_aside_that_was_set_back_since_is_tried_and_a_delayed_message_is_not() {
    let store = Arc::new(MemoryConsumerStore::default());
    let due_at = stanchion_runtime::clock::now() + MINUTE * 600;
    let (wall, metadata) = ("delayed".to_owned(), Metadata::new(None));
    let (id, painted) = (Uuid::from_u128(9), Painted { wall, coat: 1 });
    let delayed = Parked::delayed(CONSUMER, &painted, id, due_at, &metadata).unwrap();
    store.wait_behind(&delayed).await.unwrap();
    // The oldest of its key was tried before, the others wait behind it.
    for (position, wall) in [(1, "north"), (2, "north"), (3, "south")] {
        let parked = Parked {
            message: message(1, position, wall),
            ..delayed.clone()
        };
        store.park(&parked).await.unwrap();
    }
    let handled = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&handled);
    let consumer = Consumer::new(CONSUMER, Arc::clone(&store) as _, Away::silent());
    let consumer = consumer.on(move |painted: Painted, _| {
        seen.lock().push(painted.wall);
        async { Ok(()) }
    });
    let stop = CancellationToken::new();
    let running = task::spawn(CONSUMER, consumer.run(stop.clone()));
    let counted = tokio::time::timeout(Duration::from_secs(20), async {
        while store.counts(CONSUMER).await.unwrap() != [(ParkedState::Retry, 1)] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(counted.await.is_ok(), "only saw {:?}", handled.lock());
    assert_eq!(store.find(id).await.unwrap(), [delayed]);
    let mut handled = handled.lock().clone();
    handled.sort_unstable();
    assert_eq!(handled, ["north", "north", "south"]);
    stop.cancel();
    running.await.unwrap();
}
