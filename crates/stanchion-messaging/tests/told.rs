//! A consumer of a broker that does what the test says: other members have its partitions meanwhile, it delivers again and
//! again, it hears late.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use stanchion_messaging::{
    BrokerError, Consumer, ConsumerStore, Contract, DeadLetterFilter, Delivery, Group,
    HandlerError, MemoryConsumerStore, Message, Parked, ParkedState, Position, Receipt, Subscriber,
    Subscription,
};
use stanchion_runtime::task;
use support::{CONSUMER, delivery, failed_before};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

const WALL: &str = "north";

/// As long as the broker may take to hear of something.
const LATE: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
struct Painted {
    coat: i64,
    takes_ms: u64,
}

impl Contract for Painted {
    const NAME: &'static str = "walls.painted.v1";

    fn key(&self) -> String {
        WALL.to_owned()
    }
}

fn message(contract: &str, coat: i64) -> Message {
    Message {
        contract: contract.into(),
        payload: serde_json::json!({ "coat": coat, "takes_ms": 0 }),
        ..support::message(0, coat, WALL)
    }
}

/// One of another wall, whose handling takes so long.
fn lasting(coat: i64, wall: &str, takes_ms: u64) -> Message {
    let mut message = message(Painted::NAME, coat);
    message.key = wall.to_owned();
    message.payload["takes_ms"] = takes_ms.into();
    message
}

/// What comes next.
struct Word {
    tenure: u64,
    /// The position before it in its line.
    prev: i64,
    message: Message,
    gives_up: bool,
}

/// Gives what the test says.
struct Told {
    words: Mutex<Option<mpsc::UnboundedReceiver<Word>>>,
    hears_in: Duration,
    extended: Arc<Mutex<Vec<usize>>>,
}

struct Hand {
    told: mpsc::UnboundedReceiver<Word>,
    hears_in: Duration,
    extended: Arc<Mutex<Vec<usize>>>,
    tenure: u64,
    gives_up: bool,
    receipts: u64,
}

#[async_trait]
impl Subscriber for Told {
    async fn subscribe(&self, _group: Group) -> Result<Box<dyn Subscription>, BrokerError> {
        let told = self.words.lock().take().unwrap();
        Ok(Box::new(Hand {
            told,
            hears_in: self.hears_in,
            extended: Arc::clone(&self.extended),
            tenure: 0,
            gives_up: false,
            receipts: 0,
        }))
    }
}

#[async_trait]
impl Subscription for Hand {
    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        let Some(word) = self.told.recv().await else {
            return std::future::pending().await;
        };
        (self.tenure, self.gives_up) = (word.tenure, word.gives_up);
        self.receipts += 1;
        Ok(delivery(word.message, word.prev, self.receipts))
    }

    async fn acknowledge(&mut self, _receipt: Receipt) -> Result<(), BrokerError> {
        sleep(self.hears_in).await;
        Ok(())
    }

    async fn extend_all(&mut self, receipts: &[Receipt]) -> Result<(), BrokerError> {
        self.extended.lock().push(receipts.len());
        sleep(self.hears_in).await;
        Ok(())
    }

    fn tenure(&self, _partition: u16) -> Option<u64> {
        Some(self.tenure)
    }

    fn gives_up(&self, _partition: u16) -> bool {
        self.gives_up
    }
}

struct Painter {
    store: Arc<MemoryConsumerStore>,
    handled: Arc<Mutex<Vec<i64>>>,
    /// Of how many at once the broker was told that they take long.
    extended: Arc<Mutex<Vec<usize>>>,
    tells: mpsc::UnboundedSender<Word>,
}

impl Painter {
    fn hired() -> Self {
        Self::hired_by(Duration::ZERO)
    }

    fn hired_by(hears_in: Duration) -> Self {
        let (tells, told) = mpsc::unbounded_channel();
        let (store, handled) = (Arc::<MemoryConsumerStore>::default(), Arc::default());
        let seen: Arc<Mutex<Vec<i64>>> = Arc::clone(&handled);
        let extended = Arc::default();
        let broker = Arc::new(Told {
            words: Mutex::new(Some(told)),
            hears_in,
            extended: Arc::clone(&extended),
        });
        let consumer = Consumer::new(CONSUMER, Arc::clone(&store) as _, broker);
        let consumer = consumer.on(move |painted: Painted, _| {
            let seen = Arc::clone(&seen);
            async move {
                sleep(Duration::from_millis(painted.takes_ms)).await;
                seen.lock().push(painted.coat);
                Ok::<(), HandlerError>(())
            }
        });
        drop(task::spawn(
            CONSUMER,
            consumer.run(CancellationToken::new()),
        ));
        Self {
            store,
            handled,
            extended,
            tells,
        }
    }

    fn tell(&self, tenure: u64, prev: i64, coat: i64) {
        let word = Word {
            tenure,
            prev,
            message: message(Painted::NAME, coat),
            gives_up: false,
        };
        self.tells.send(word).ok().unwrap();
    }

    /// Of a message that follows nothing.
    fn tell_of(&self, message: Message) {
        let word = Word {
            tenure: 1,
            prev: 0,
            message,
            gives_up: false,
        };
        self.tells.send(word).ok().unwrap();
    }

    /// As another member of the group does with a message of that key and of another contract.
    async fn put_aside(&self, coat: i64) {
        let parked = Parked {
            state: ParkedState::Dead,
            ..failed_before(message("walls.papered.v1", coat), 20)
        };
        self.store.park(&parked).await.unwrap();
    }

    async fn until(&self, handled: &[i64], parked: usize) {
        let filter = DeadLetterFilter {
            limit: 100,
            ..DeadLetterFilter::default()
        };
        let waited = timeout(Duration::from_secs(60), async {
            while *self.handled.lock() != handled
                || self.store.list(&filter).await.unwrap().len() != parked
            {
                sleep(Duration::from_millis(1)).await;
            }
        });
        let seen = || self.handled.lock().clone();
        assert!(waited.await.is_ok(), "handled {:?}", seen());
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_member_put_aside_meanwhile_holds_back_what_comes_after_it() {
    let painter = Painter::hired();
    painter.tell(1, 0, 1);
    painter.tell(1, 1, 2);
    painter.until(&[1, 2], 0).await;
    // The partition is somebody else's for a message, whose line is not that of ours: no hole tells of it.
    painter.put_aside(3).await;
    painter.tell(2, 2, 4);
    painter.until(&[1, 2], 2).await;
    // And it goes on to be known in that time.
    painter.tell(2, 4, 5);
    painter.until(&[1, 2], 3).await;
    let dead = message("walls.papered.v1", 3).id;
    assert!(painter.store.discard(CONSUMER, dead).await.unwrap());
    painter.until(&[1, 2, 4, 5], 0).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_delivered_too_often_is_a_dead_letter_without_an_attempt() {
    let painter = Painter::hired();
    let ends_the_process = Word {
        tenure: 1,
        prev: 0,
        message: message(Painted::NAME, 1),
        gives_up: true,
    };
    painter.tells.send(ends_the_process).ok().unwrap();
    painter.tell(1, 1, 2);
    painter.until(&[], 2).await;
    let filter = DeadLetterFilter {
        state: Some(ParkedState::Dead),
        limit: 100,
        ..DeadLetterFilter::default()
    };
    let dead = painter.store.list(&filter).await.unwrap();
    assert_eq!(dead.len(), 1, "the other one waits behind it");
    let (one, now) = (&dead[0].message, stanchion_runtime::clock::now());
    assert_eq!(one.origin.position, Position(1));
    let redriven = painter.store.redrive(CONSUMER, one.id, now).await;
    assert!(redriven.unwrap());
    painter.until(&[1, 2], 0).await;
}

/// A contract that was taken back: no upgrade will bring its handler.
#[tokio::test(start_paused = true)]
async fn what_nobody_will_ever_know_is_discarded_and_holds_nobody_back() {
    let painter = Painter::hired();
    let papered = message("walls.papered.v1", 1);
    painter.tell_of(papered.clone());
    painter.tell(1, 0, 2);
    painter.until(&[], 2).await;
    let found = painter.store.find(papered.id).await.unwrap();
    assert_eq!(found[0].state, ParkedState::Unknown);
    let discarded = painter.store.discard(CONSUMER, papered.id).await;
    assert!(discarded.unwrap());
    painter.until(&[2], 0).await;
    assert!(painter.store.counts(CONSUMER).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_being_handled_goes_on_until_the_broker_has_heard_of_something_else() {
    let (painter, start) = (Painter::hired_by(LATE), Instant::now());
    for (coat, wall, takes_ms) in [(1, "north", 100), (2, "south", 1_000)] {
        painter.tell_of(lasting(coat, wall, takes_ms));
    }
    painter.until(&[1, 2], 0).await;
    assert!(start.elapsed() < LATE / 2, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_being_handled_goes_on_until_the_broker_has_heard_that_it_takes_long() {
    let (painter, start) = (Painter::hired_by(LATE), Instant::now());
    // Longer than until the broker is told, and less than until it has heard: a first attempt, and one that failed before.
    let retry = failed_before(lasting(1, "south", 5_000), 1);
    painter.store.park(&retry).await.unwrap();
    painter.tell_of(lasting(2, "north", 7_000));
    painter.until(&[1, 2], 0).await;
    assert!(start.elapsed() < LATE, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_broker_hears_of_all_that_takes_long_at_once() {
    let painter = Painter::hired();
    for (coat, wall, takes_ms) in [(1, "north", 5_000), (2, "south", 5_010), (3, "east", 5_020)] {
        painter.tell_of(lasting(coat, wall, takes_ms));
    }
    painter.until(&[1, 2, 3], 0).await;
    let extended = painter.extended.lock().clone();
    assert!(
        !extended.is_empty() && extended.iter().all(|at_once| *at_once == 3),
        "{extended:?}"
    );
}
