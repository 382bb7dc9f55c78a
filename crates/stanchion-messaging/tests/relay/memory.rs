//! What a relay keeps in memory while its broker is away, and a consumer while it is at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use stanchion_messaging::{
    BrokerError, Consumer, Contract, Envelope, Feed, FeedPage, Forwarder, MemoryBroker,
    MemoryConsumerStore, MemoryRelayStore, Message, Metadata, Origin, Place, Position,
    PublishError, Publisher,
};
use stanchion_runtime::task;
use stanchion_telemetry::Metrics;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::sleep;
use crate::world::LOG;

const MIB: usize = 1 << 20;
const MESSAGES: i64 = 300;

/// A log of large entries, and how far it was read.
struct Large {
    read: Arc<Mutex<i64>>,
    head: watch::Sender<Position>,
}

#[async_trait]
impl Feed for Large {
    fn name(&self) -> &str {
        "large"
    }

    fn log_id(&self) -> stanchion_messaging::LogId {
        LOG
    }

    async fn read(&self, after: Place, limit: usize) -> Result<FeedPage, BrokerError> {
        let first = after.position.0 + 1;
        let last = MESSAGES.min(after.position.0 + limit as i64);
        let messages: Vec<Message> = (first..=last).map(large).collect();
        *self.read.lock() = last;
        let through = Place {
            position: Position(last.max(after.position.0)),
            event: None,
        };
        Ok(FeedPage { messages, through })
    }

    fn changes(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }
}

fn large(position: i64) -> Message {
    Message {
        id: Uuid::from_u128(position as u128),
        contract: "walls.pictured.v1".into(),
        key: format!("wall-{}", position % 5),
        payload: "x".repeat(MIB).into(),
        origin: Origin {
            log: LOG,
            position: Position(position),
        },
        metadata: Metadata::new(None),
        at: stanchion_runtime::clock::now(),
    }
}

/// A broker that is away until it is there.
#[derive(Default)]
struct Away {
    is_there: AtomicBool,
    came: Mutex<Vec<i64>>,
}

#[async_trait]
impl Publisher for Away {
    async fn publish(&self, envelope: &Envelope) -> Result<(), PublishError> {
        if !self.is_there.load(Ordering::SeqCst) {
            return Err(BrokerError("away".into()).into());
        }
        let origin = &envelope.message.origin;
        if !envelope.message.key.is_empty() {
            self.came.lock().push(origin.position.0);
        }
        Ok(())
    }

    async fn store_id(&self) -> Result<String, BrokerError> {
        Ok("one".into())
    }
}

#[tokio::test(start_paused = true)]
async fn large_messages_wait_in_the_log_not_in_memory() {
    let (read, broker) = (Arc::new(Mutex::new(0)), Arc::new(Away::default()));
    let feed = Large {
        read: Arc::clone(&read),
        head: watch::Sender::new(Position(MESSAGES)),
    };
    let store = Arc::new(MemoryRelayStore::default());
    let relay = Forwarder::new(Arc::new(feed), broker.clone(), store);
    let stop = CancellationToken::new();
    let running = task::spawn("relay", relay.run(stop.clone()));
    sleep(10_000).await;
    let waiting = *read.lock();
    assert!((16..100).contains(&waiting), "{waiting} MiB in memory");
    broker.is_there.store(true, Ordering::SeqCst);
    sleep(60_000).await;
    let mut came = broker.came.lock().clone();
    came.sort_unstable();
    assert_eq!(came, (1..=MESSAGES).collect::<Vec<_>>());
    stop.cancel();
    running.await.unwrap();
}

#[derive(Serialize, Deserialize)]
struct Pictured(String);

impl Contract for Pictured {
    const NAME: &'static str = "walls.pictured.v1";

    fn key(&self) -> String {
        self.0.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_does_not_get_on_takes_up_no_more_large_messages() {
    let read = Arc::new(Mutex::new(0));
    let feed = Large {
        read: Arc::clone(&read),
        head: watch::Sender::new(Position(MESSAGES)),
    };
    let broker = MemoryBroker::new();
    broker.register(Arc::new(feed));
    let (store, metrics) = (Arc::new(MemoryConsumerStore::default()), Metrics::default());
    let consumer = Consumer::new("gallery", store, Arc::new(broker)).metrics(&metrics);
    let consumer = consumer.on(|_: Pictured, _| std::future::pending());
    let running = task::spawn("gallery", consumer.run(CancellationToken::new()));
    sleep(10_000).await;
    let taken = *read.lock();
    assert!((16..100).contains(&taken), "{taken} MiB in memory");
    let shown = format!("stanchion_consumer_taken{{consumer=\"gallery\"}} {taken}");
    assert!(metrics.encode().contains(&shown), "{}", metrics.encode());
    running.abort();
}
