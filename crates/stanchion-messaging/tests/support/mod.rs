//! Walls to paint: the contract, its messages, their log and brokers, as consumers' tests have them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stanchion_messaging::{
    BrokerError, Consumer, ConsumerLimits, ConsumerStore, Contract, Delivery, Feed, FeedPage,
    Group, HandlerError, Link, LogId, MemoryBroker, MemoryConsumerStore, Message, Metadata, Origin,
    Parked, ParkedState, Place, Position, Progress, Receipt, Subscriber, Subscription,
    partition_of,
};
use stanchion_runtime::clock;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

pub const CONSUMER: &str = "painter";

/// Longer than anything takes.
pub const WITHIN: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize)]
pub struct Painted {
    pub wall: String,
    #[serde(default)]
    pub coat: u32,
}

impl Contract for Painted {
    const NAME: &'static str = "walls.painted.v1";

    fn key(&self) -> String {
        self.wall.clone()
    }
}

pub fn log_id(log: u128) -> LogId {
    LogId(Uuid::from_u128(log))
}

/// The id of the message at that place of that log.
pub fn id(log: u128, position: i64) -> Uuid {
    Uuid::from_u128((log << 64) | u128::from(position.unsigned_abs()))
}

/// That a wall was painted, now.
pub fn message(log: u128, position: i64, wall: &str) -> Message {
    Message {
        id: id(log, position),
        contract: Painted::NAME.into(),
        key: wall.into(),
        payload: json!({ "wall": wall }),
        origin: Origin {
            log: log_id(log),
            position: Position(position),
        },
        metadata: Metadata::new(None),
        at: clock::now(),
    }
}

/// What a broker gives of a line, in which the message follows that position.
pub fn delivery(message: Message, prev: i64, receipt: u64) -> Delivery {
    let link = Link {
        log: message.origin.log,
        partition: partition_of(&message.key),
        prev: Position(prev),
        position: message.origin.position,
    };
    Delivery {
        messages: vec![message],
        progress: Progress::Receipt {
            receipt: Receipt(receipt),
            links: vec![link],
        },
    }
}

/// A message that failed so often, and is due.
pub fn failed_before(message: Message, attempts: u32) -> Parked {
    let now = clock::now();
    Parked {
        consumer: CONSUMER.into(),
        message,
        state: ParkedState::Retry,
        attempts,
        under_way: false,
        note: None,
        due_at: now,
        reason: "the ladder fell".into(),
        parked_at: now,
    }
}

/// Three attempts, one soon after the other.
pub fn hasty() -> ConsumerLimits {
    ConsumerLimits {
        attempts_max: 3,
        backoff_base: Duration::from_millis(1),
        backoff_max: Duration::from_millis(1),
        ..ConsumerLimits::default()
    }
}

/// A log of walls, one an entry.
pub struct Walls {
    log: u128,
    messages: Mutex<Vec<Message>>,
    head: watch::Sender<Position>,
    /// How long a read takes.
    takes: Duration,
    /// It cannot be read beyond its end.
    ends_badly: bool,
    begun: AtomicUsize,
}

impl Walls {
    pub fn new(log: u128) -> Self {
        Self {
            log,
            messages: Mutex::default(),
            head: watch::Sender::new(Position::START),
            takes: Duration::ZERO,
            ends_badly: false,
            begun: AtomicUsize::new(0),
        }
    }

    /// With those, which came into it now.
    pub fn of<W: ToString>(log: u128, walls: impl IntoIterator<Item = W>) -> Self {
        let (all, now) = (Self::new(log), clock::now());
        for wall in walls {
            all.push(&wall.to_string(), now);
        }
        all
    }

    pub fn read_in(mut self, takes: Duration) -> Self {
        self.takes = takes;
        self
    }

    pub fn ending_badly(mut self) -> Self {
        self.ends_badly = true;
        self
    }

    /// How often somebody began to read of them.
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// One more, which came into the log then.
    pub fn push(&self, wall: &str, at: Timestamp) {
        self.add(wall, |message| message.at = at);
    }

    pub fn paint(&self, wall: &str, coat: u32) {
        self.announce(Painted::NAME, wall, json!({ "wall": wall, "coat": coat }));
    }

    pub fn announce(&self, contract: &str, key: &str, payload: Value) {
        self.add(key, |message| {
            message.contract = contract.into();
            message.payload = payload;
        });
    }

    fn add(&self, key: &str, tell: impl FnOnce(&mut Message)) {
        let mut all = self.messages.lock();
        let position = all.len() as i64 + 1;
        let mut message = message(self.log, position, key);
        tell(&mut message);
        all.push(message);
        self.head.send_replace(Position(position));
    }
}

#[async_trait]
impl Feed for Walls {
    fn name(&self) -> &str {
        "walls"
    }

    fn log_id(&self) -> LogId {
        log_id(self.log)
    }

    async fn read(&self, after: Place, limit: usize) -> Result<FeedPage, BrokerError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        if !self.takes.is_zero() {
            sleep(self.takes).await;
        }
        let all = self.messages.lock();
        let new = all.iter().filter(|it| it.origin.position > after.position);
        let messages: Vec<Message> = new.take(limit).cloned().collect();
        if messages.is_empty() && self.ends_badly {
            return Err(BrokerError("an event that nobody knows".into()));
        }
        let through = messages.last().map_or(after, |last| Place {
            position: last.origin.position,
            event: Some(last.id),
        });
        Ok(FeedPage { messages, through })
    }

    fn changes(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }
}

/// A broker of those logs.
pub fn broker(walls: &[Arc<Walls>]) -> MemoryBroker {
    let broker = MemoryBroker::new();
    for walls in walls {
        broker.register(Arc::clone(walls) as Arc<dyn Feed>);
    }
    broker
}

/// Paints walls that are numbers, each as it is told to, and well.
pub fn painter<F, Fut>(store: &Arc<MemoryConsumerStore>, walls: &Arc<Walls>, paint: F) -> Consumer
where
    F: Fn(i64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let broker = broker(std::slice::from_ref(walls));
    let consumer = Consumer::new(CONSUMER, Arc::clone(store) as _, Arc::new(broker));
    consumer.on(move |painted: Painted, _| {
        let painting = paint(painted.wall.parse().unwrap());
        async move {
            painting.await;
            Ok::<(), HandlerError>(())
        }
    })
}

pub async fn is_nothing_aside(store: &MemoryConsumerStore) -> bool {
    store.counts(CONSUMER).await.unwrap().is_empty()
}

/// Until there were so many.
pub async fn reach(count: &AtomicUsize, so_many: usize) {
    let reached = timeout(WITHIN, async {
        while count.load(Ordering::SeqCst) < so_many {
            sleep(Duration::from_millis(1)).await;
        }
    });
    let is_so = reached.await.is_ok();
    let there_are = count.load(Ordering::SeqCst);
    assert!(is_so, "{there_are} of {so_many}");
}

/// A broker that is away: it refuses, or does not answer.
#[derive(Default)]
pub struct Away {
    pub is_silent: bool,
    /// How often it was asked.
    pub asked: AtomicU32,
}

impl Away {
    pub fn silent() -> Arc<Self> {
        Arc::new(Self {
            is_silent: true,
            ..Self::default()
        })
    }
}

#[async_trait]
impl Subscriber for Away {
    async fn subscribe(&self, _group: Group) -> Result<Box<dyn Subscription>, BrokerError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.is_silent {
            return std::future::pending().await;
        }
        Err(BrokerError("nobody listens there".into()))
    }
}
