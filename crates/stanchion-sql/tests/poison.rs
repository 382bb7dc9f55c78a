//! Poison among good messages, with the rows of a real store: bounded attempts, then a dead letter that can be redriven, and
//! nobody else waits for a second.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stanchion_messaging::{
    Consumer, ConsumerLimits, ConsumerStore, Contract, DeadLetterFilter, HandlerError, LogId,
    MemoryBroker, Message, Metadata, Origin, Parked, ParkedState, Place, Position,
};
use stanchion_runtime::{clock, id, random, task};
use stanchion_sql::{Db, SqlConsumerStore};
use stanchion_testing::feed::ListedFeed;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const LOG: LogId = LogId(Uuid::from_u128(7));
const CONSUMER: &str = "kitchen";
const ATTEMPTS_MAX: u32 = 3;
/// Beyond two of the looks for what was unknown.
const GOOD: usize = 100;
const EVERY: Duration = Duration::from_millis(50);
const LATE: Duration = Duration::from_secs(1);
/// Steps from an order to its dish.
const STEPS: u32 = 4;
const WITHIN: Duration = Duration::from_secs(20);

#[derive(Serialize, Deserialize)]
struct Ordered {
    dish: String,
    wish: String,
}

impl Contract for Ordered {
    const NAME: &'static str = "table.ordered.v1";

    fn key(&self) -> String {
        self.dish.clone()
    }
}

/// What was handled, and when.
type Handled = Arc<Mutex<BTreeMap<String, Instant>>>;

struct Table {
    feed: Arc<ListedFeed>,
    position: i64,
}

impl Table {
    fn orders(&mut self, contract: &str, key: &str, payload: Value) {
        self.position += 1;
        self.feed.push(Message {
            id: id::new_v7(),
            contract: contract.into(),
            key: key.into(),
            payload,
            origin: Origin {
                log: LOG,
                position: Position(self.position),
            },
            metadata: Metadata::new(None),
            at: clock::now(),
        });
    }

    fn wants(&mut self, dish: &str, wish: &str) {
        let payload = json!({"dish": dish, "wish": wish});
        self.orders(Ordered::NAME, dish, payload);
    }
}

/// A consumer that panics and fails as it is told, until `mended`.
fn kitchen(db: &Db, feed: &Arc<ListedFeed>, mended: &Arc<AtomicBool>) -> (Consumer, Handled) {
    let broker = MemoryBroker::new();
    broker.register(feed.clone());
    let (handled, mended) = (Handled::default(), Arc::clone(mended));
    let seen = Arc::clone(&handled);
    let store = Arc::new(SqlConsumerStore::new(db.clone()));
    let consumer = Consumer::new(CONSUMER, store, Arc::new(broker)).limits(ConsumerLimits {
        attempts_max: ATTEMPTS_MAX,
        backoff_base: Duration::from_millis(10),
        backoff_max: Duration::from_millis(50),
        ..ConsumerLimits::default()
    });
    let consumer = consumer.on(move |ordered: Ordered, _| {
        let (seen, mended) = (Arc::clone(&seen), mended.load(Ordering::SeqCst));
        async move {
            let Ordered { dish, wish } = ordered;
            match wish.as_str() {
                "panic" if !mended => panic!("there is no {dish}"),
                "fail" if !mended => Err(HandlerError::Failed(format!("there is no {dish}"))),
                "reject" if !mended => Err(HandlerError::Rejected(format!("there is no {dish}"))),
                _ => {
                    seen.lock().insert(dish, Instant::now());
                    Ok(())
                }
            }
        }
    });
    (consumer, handled)
}

async fn letters(store: &SqlConsumerStore, state: ParkedState) -> Vec<Parked> {
    let filter = DeadLetterFilter {
        state: Some(state),
        limit: 100,
        ..DeadLetterFilter::default()
    };
    store.list(&filter).await.unwrap()
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < WITHIN, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A write as a dish's handling makes some, again and again beside it until it is over: the longest that one took is what the
/// machine and its disk took from everybody.
async fn control(store: SqlConsumerStore, over: CancellationToken) -> Duration {
    let mut longest = Duration::ZERO;
    for position in 1.. {
        if over.is_cancelled() {
            break;
        }
        let (begun, event) = (Instant::now(), None);
        let position = Position(position);
        let place = Place { position, event };
        store.advance("control", LOG, place).await.unwrap();
        sleep(EVERY).await;
        longest = longest.max(begun.elapsed().saturating_sub(EVERY));
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_becomes_a_dead_letter_and_nobody_else_waits_for_a_second() {
    for db in support::migrated().await {
        let store = SqlConsumerStore::new(db.clone());
        let mut table = Table {
            feed: Arc::new(ListedFeed::new("table", LOG)),
            position: 0,
        };
        let mended = Arc::new(AtomicBool::new(false));
        let (consumer, handled) = kitchen(&db, &table.feed, &mended);
        let stop = CancellationToken::new();
        let running = task::spawn("kitchen", consumer.run(stop.clone()));
        let over = CancellationToken::new();
        let beside = task::spawn("control", control(store.clone(), over.clone()));

        let long = random::bytes::<8192>().map(|byte| char::from(b'!' + byte % 90));
        let long = String::from_iter(long);
        let poison = ["soup", "a\0b", long.as_str()];
        for (dish, wish) in poison.iter().zip(["panic", "fail", "reject"]) {
            table.wants(dish, wish);
        }
        table.orders(Ordered::NAME, "no order", json!({"dish": 7}));
        let newer = json!({"dish": "cake", "wish": "\0"});
        table.orders("table.ordered.v2", "cake", newer);

        let mut ordered = BTreeMap::new();
        for number in 0..GOOD {
            let dish = format!("dish {number}");
            ordered.insert(dish.clone(), Instant::now());
            table.wants(&dish, "");
            sleep(EVERY).await;
        }
        until("all is served or put aside", async || {
            handled.lock().len() == GOOD && letters(&store, ParkedState::Dead).await.len() == 4
        })
        .await;
        over.cancel();
        let machine = beside.await.unwrap();
        for (dish, at) in &ordered {
            let took = handled.lock()[dish].duration_since(*at);
            // Told of, read, handled and noted: each may meet the worst that the machine had.
            assert!(
                took < LATE + machine * STEPS,
                "{dish} waited {took:?}, a write {machine:?}"
            );
        }
        let dead = letters(&store, ParkedState::Dead).await;
        for letter in &dead {
            let tries = (1..=ATTEMPTS_MAX).contains(&letter.attempts);
            assert!(tries && !letter.reason.is_empty(), "{letter:?}");
        }
        assert_eq!(letters(&store, ParkedState::Unknown).await.len(), 1);

        mended.store(true, Ordering::SeqCst);
        for letter in &dead {
            let id = letter.message.id;
            assert!(store.redrive(CONSUMER, id, clock::now()).await.unwrap());
        }
        until("what was redriven is served", async || {
            let handled = handled.lock();
            poison.iter().all(|dish| handled.contains_key(*dish))
        })
        .await;
        stop.cancel();
        running.await.unwrap();
    }
}
