//! A consumer against a feed in memory: order, retry, dead letters, progress.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_messaging::{
    Consumer, ConsumerLimits, ConsumerStore, DeadLetterFilter, HandlerError, MemoryConsumerStore,
    Metadata, Parked, ParkedState, Position, Received,
};
use stanchion_runtime::task::Task;
use support::{CONSUMER, Painted, Walls, broker, id, log_id};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longer than anything takes here on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

const LOG: u128 = 7;

/// A consumer under test with what it saw.
struct Painter {
    walls: Arc<Walls>,
    store: Arc<MemoryConsumerStore>,
    seen: Arc<Mutex<HashMap<String, Vec<u32>>>>,
    stop: CancellationToken,
}

impl Painter {
    fn hired(fail: impl Fn(&Painted, u32) -> Option<HandlerError> + Send + Sync + 'static) -> Self {
        let painter = Self::idle();
        painter.start(fail);
        painter
    }

    fn idle() -> Self {
        Self {
            walls: Arc::new(Walls::new(LOG)),
            store: Arc::default(),
            seen: Arc::default(),
            stop: CancellationToken::new(),
        }
    }

    fn start(
        &self,
        fail: impl Fn(&Painted, u32) -> Option<HandlerError> + Send + Sync + 'static,
    ) -> Task<()> {
        let broker = broker(std::slice::from_ref(&self.walls));
        let seen = Arc::clone(&self.seen);
        let calls = AtomicU32::new(0);
        let limits = ConsumerLimits {
            attempts_max: 3,
            ..ConsumerLimits::default()
        };
        let consumer = Consumer::new(CONSUMER, Arc::clone(&self.store) as _, Arc::new(broker))
            .limits(limits)
            .on(move |painted: Painted, _received: Received| {
                let failure = fail(&painted, calls.fetch_add(1, Ordering::SeqCst));
                let seen = Arc::clone(&seen);
                async move {
                    if let Some(error) = failure {
                        return Err(error);
                    }
                    seen.lock()
                        .entry(painted.wall)
                        .or_default()
                        .push(painted.coat);
                    Ok(())
                }
            });
        stanchion_runtime::task::spawn(CONSUMER, consumer.run(self.stop.clone()))
    }

    async fn until(&self, what: impl Fn(&HashMap<String, Vec<u32>>) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !what(&self.seen.lock()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "only saw {:?}", self.seen.lock());
    }

    /// Until its store knows that it has dealt with everything up to there.
    async fn has_come_to(&self, position: Position) {
        let log = log_id(LOG);
        let waited = tokio::time::timeout(PATIENCE, async {
            let come = async || self.store.progress(CONSUMER).await.unwrap();
            while come()
                .await
                .get(&log)
                .is_none_or(|it| it.position < position)
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "it notes no progress");
    }

    /// What a handler did is seen a moment before its row is gone, or is there.
    async fn until_parked(&self, expected: &[(ParkedState, u32)]) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.parked().await != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let is_so = waited.await.is_ok();
        assert!(is_so, "{:?}, not {expected:?}", self.parked().await);
    }

    async fn parked(&self) -> Vec<(ParkedState, u32)> {
        let filter = DeadLetterFilter {
            limit: 100,
            ..DeadLetterFilter::default()
        };
        let parked = self.store.list(&filter).await.unwrap();
        parked.iter().map(|row| (row.state, row.attempts)).collect()
    }
}

#[tokio::test]
async fn messages_of_a_key_arrive_in_order() {
    let painter = Painter::hired(|_, _| None);
    for coat in 0..300 {
        painter
            .walls
            .paint(if coat % 2 == 0 { "north" } else { "south" }, coat);
    }
    painter
        .until(|seen| seen.values().map(Vec::len).sum::<usize>() == 300)
        .await;
    let seen = painter.seen.lock();
    assert!(seen["north"].is_sorted() && seen["south"].is_sorted());
}

#[tokio::test]
async fn a_failing_message_is_retried_and_later_ones_of_its_key_wait() {
    let painter = Painter::hired(|painted, call| {
        (painted.wall == "north" && call < 2).then(|| HandlerError::Failed("out of paint".into()))
    });
    painter.walls.paint("north", 1);
    painter.walls.paint("north", 2);
    painter.walls.paint("south", 1);
    painter
        .until(|seen| seen.len() == 2 && seen["north"].len() == 2)
        .await;
    assert_eq!(painter.seen.lock()["north"], [1, 2]);
    painter.until_parked(&[]).await;
}

#[tokio::test]
async fn after_the_last_attempt_a_message_is_dead_and_its_key_waits_until_redriven() {
    let broken = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let fails = Arc::clone(&broken);
    let painter = Painter::hired(move |painted, _| {
        let fail = painted.wall == "north" && fails.load(Ordering::SeqCst);
        fail.then(|| HandlerError::Failed("no such wall".into()))
    });
    painter.walls.paint("north", 1);
    painter.walls.paint("north", 2);
    painter.walls.paint("south", 1);
    painter.until(|seen| seen.contains_key("south")).await;
    painter
        .until_parked(&[(ParkedState::Dead, 3), (ParkedState::Retry, 0)])
        .await;

    broken.store(false, Ordering::SeqCst);
    let now = stanchion_runtime::clock::now();
    assert!(
        painter
            .store
            .redrive(CONSUMER, id(LOG, 1), now)
            .await
            .unwrap()
    );
    painter
        .until(|seen| seen.get("north").is_some_and(|coats| coats.len() == 2))
        .await;
    assert_eq!(painter.seen.lock()["north"], [1, 2]);
}

#[tokio::test]
async fn what_is_out_for_now_is_tried_as_long_as_it_takes() {
    let painter =
        Painter::hired(|_, call| (call < 12).then(|| HandlerError::Later("shop closed".into())));
    painter.walls.paint("north", 1);
    painter.until(|seen| seen.contains_key("north")).await;
    painter.until_parked(&[]).await;
}

#[tokio::test]
async fn what_can_never_be_read_is_a_dead_letter_at_once() {
    let painter = Painter::hired(|_, _| None);
    painter
        .walls
        .announce("walls.painted.v1", "north", serde_json::json!({"wall": 7}));
    painter.walls.paint("south", 1);
    painter.until(|seen| seen.contains_key("south")).await;
    painter.until_parked(&[(ParkedState::Dead, 1)]).await;
}

#[tokio::test]
async fn a_delayed_message_is_handled_when_it_is_due_and_nobody_waits_for_it() {
    let painter = Painter::hired(|_, _| None);
    let second_coat = Painted {
        wall: "north".into(),
        coat: 2,
    };
    // Later than a busy machine takes for the first coat.
    let due_at = stanchion_runtime::clock::now() + Duration::from_secs(2);
    let id = Uuid::from_u128(99);
    let metadata = Metadata::new(None);
    let delayed = Parked::delayed(CONSUMER, &second_coat, id, due_at, &metadata).unwrap();
    painter.store.wait_behind(&delayed).await.unwrap();
    painter.walls.paint("north", 1);
    painter
        .until(|seen| seen.get("north").is_some_and(|coats| coats.len() == 2))
        .await;
    assert_eq!(painter.seen.lock()["north"], [1, 2]);
    assert!(stanchion_runtime::clock::now() >= due_at);
    painter.until_parked(&[]).await;
}

#[tokio::test]
async fn a_panicking_handler_is_a_failure_like_any_other() {
    let painter = Painter::hired(|painted, call| {
        assert!(painted.wall != "north" || call > 1, "the ladder fell");
        None
    });
    painter.walls.paint("north", 1);
    painter.until(|seen| seen.contains_key("north")).await;
}

#[tokio::test]
async fn a_consumer_goes_on_where_it_stopped() {
    let painter = Painter::idle();
    let running = painter.start(|_, _| None);
    painter.walls.paint("north", 1);
    painter.until(|seen| seen.contains_key("north")).await;
    painter.has_come_to(Position(1)).await;
    painter.stop.cancel();
    running.await.unwrap();

    let again = Painter {
        stop: CancellationToken::new(),
        ..painter
    };
    again.start(|_, _| None);
    again.walls.paint("north", 2);
    again.until(|seen| seen["north"].len() == 2).await;
    assert_eq!(again.seen.lock()["north"], [1, 2]);
}

#[tokio::test]
async fn what_a_stop_finds_stuck_is_given_back_and_delivered_again() {
    let painter = Painter::idle();
    let broker = broker(std::slice::from_ref(&painter.walls));
    let begun = CancellationToken::new();
    let begins = begun.clone();
    let stuck = Consumer::new(CONSUMER, Arc::clone(&painter.store) as _, Arc::new(broker)).on(
        move |_: Painted, _| {
            begins.cancel();
            std::future::pending::<Result<(), HandlerError>>()
        },
    );
    let running = stanchion_runtime::task::spawn(CONSUMER, stuck.run(painter.stop.clone()));
    painter.walls.paint("north", 1);
    begun.cancelled().await;
    painter.stop.cancel();
    // Sooner than the five seconds after which a service aborts its worker.
    let ended = tokio::time::timeout(Duration::from_secs(4), running).await;
    assert!(
        ended.is_ok(),
        "the stop waits for a handler that never ends"
    );

    let again = Painter {
        stop: CancellationToken::new(),
        ..painter
    };
    again.start(|_, _| None);
    again.until(|seen| seen.contains_key("north")).await;
    assert_eq!(again.seen.lock()["north"], [1]);
    assert!(again.parked().await.is_empty());
}
