//! A log, its relay, a broker and a consumer, any of which can be killed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use stanchion_messaging::{
    BrokerError, Consumer, ConsumerLimits, ConsumerStore, Contract, Feed, FeedPage, Forwarder,
    HandlerError, LogId, MemoryConsumerStore, MemoryRelayStore, Message, Metadata, Origin, Place,
    Position, Received, Redrive, RelayState, RelayStore, StoreError,
};
use stanchion_runtime::task::{self, Task};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::broker::{Broker, Dice, Handle, Trap};

pub const LOG: LogId = LogId(Uuid::from_u128(7));

#[derive(Serialize, Deserialize)]
pub struct Painted {
    pub wall: String,
    pub coat: usize,
}

impl Contract for Painted {
    const NAME: &'static str = "walls.painted.v1";

    fn key(&self) -> String {
        self.wall.clone()
    }
}

#[derive(Serialize, Deserialize)]
pub struct Scraped {
    pub wall: String,
    pub coat: usize,
}

impl Contract for Scraped {
    const NAME: &'static str = "walls.scraped.v1";

    fn key(&self) -> String {
        self.wall.clone()
    }
}

/// What a wall is to see: a coat, and whether it was painted or scraped.
pub type Seen = BTreeMap<String, Vec<(usize, bool)>>;

pub struct Walls {
    messages: Mutex<Vec<Message>>,
    /// How long ago what is announced was recorded.
    pub age: Mutex<Duration>,
    head: watch::Sender<Position>,
}

impl Walls {
    fn announce(&self, contract: &str, wall: &str, coat: usize) {
        let mut messages = self.messages.lock();
        // Some entries are announced as nothing.
        let position =
            Position(messages.last().map_or(0, |it| it.origin.position.0) + 1 + coat as i64 % 3);
        messages.push(Message {
            id: Uuid::from_u128(position.0 as u128),
            contract: contract.into(),
            key: wall.into(),
            payload: serde_json::json!({"wall": wall, "coat": coat}),
            origin: Origin { log: LOG, position },
            metadata: Metadata::new(None),
            at: stanchion_runtime::clock::now() - *self.age.lock(),
        });
        self.head.send_replace(position);
    }
}

#[async_trait]
impl Feed for Walls {
    fn name(&self) -> &str {
        "walls"
    }

    fn log_id(&self) -> LogId {
        LOG
    }

    async fn read(&self, after: Place, limit: usize) -> Result<FeedPage, BrokerError> {
        let messages = self.messages.lock();
        let later = messages
            .iter()
            .filter(|it| it.origin.position > after.position);
        let messages: Vec<Message> = later.take(limit.min(7)).cloned().collect();
        let through = messages.last().map_or(after, |message| Place {
            position: message.origin.position,
            event: Some(message.id),
        });
        Ok(FeedPage { messages, through })
    }

    fn changes(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }
}

/// A relay's store that a relay can be killed in.
struct Trapped(Arc<MemoryRelayStore>, Arc<Broker>);

#[async_trait]
impl RelayStore for Trapped {
    async fn take(&self, relay: &str, ttl: Duration) -> Result<Option<i64>, StoreError> {
        self.0.take(relay, ttl).await
    }

    async fn renew(&self, relay: &str, token: i64, ttl: Duration) -> Result<bool, StoreError> {
        self.0.renew(relay, token, ttl).await
    }

    async fn release(&self, relay: &str, token: i64) -> Result<(), StoreError> {
        self.0.release(relay, token).await
    }

    async fn load(
        &self,
        relay: &str,
        log: LogId,
        token: i64,
    ) -> Result<Option<RelayState>, StoreError> {
        self.0.load(relay, log, token).await
    }

    async fn save(
        &self,
        relay: &str,
        log: LogId,
        token: i64,
        state: &RelayState,
    ) -> Result<bool, StoreError> {
        self.1.pass(Trap::BeforeSave).await;
        let saved = self.0.save(relay, log, token, state).await;
        self.1.pass(Trap::AfterSave).await;
        saved
    }

    fn letters(&self) -> &dyn ConsumerStore {
        self.0.letters()
    }

    async fn wish(&self, relay: &str, wish: &Redrive) -> Result<(), StoreError> {
        self.0.wish(relay, wish).await
    }

    async fn wishes(&self, relay: &str) -> Result<Vec<(Uuid, Redrive)>, StoreError> {
        self.0.wishes(relay).await
    }

    async fn granted(&self, relay: &str, wishes: &[Uuid]) -> Result<(), StoreError> {
        self.0.granted(relay, wishes).await
    }
}

pub struct World {
    pub walls: Arc<Walls>,
    pub broker: Arc<Broker>,
    pub relays: Arc<MemoryRelayStore>,
    pub consumers: Arc<MemoryConsumerStore>,
    pub seen: Arc<Mutex<Seen>>,
    inbox: Arc<Mutex<HashMap<Uuid, Position>>>,
    /// Percent of the attempts that fail.
    pub fails: Arc<AtomicUsize>,
    pub dice: Arc<Mutex<Dice>>,
    relay: Mutex<Vec<Task<()>>>,
    consumer: Mutex<Vec<Task<()>>>,
    asks: bool,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            walls: Arc::new(Walls {
                messages: Mutex::default(),
                age: Mutex::default(),
                head: watch::Sender::new(Position::START),
            }),
            broker: Broker::new(seed),
            relays: Arc::default(),
            consumers: Arc::default(),
            seen: Arc::default(),
            inbox: Arc::default(),
            fails: Arc::default(),
            dice: Arc::new(Mutex::new(Dice::new(seed + 1))),
            relay: Mutex::default(),
            consumer: Mutex::default(),
            asks: true,
        }
    }

    /// One whose relay cannot be asked.
    pub fn without_asks(seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.asks = false;
        world
    }

    pub fn head(&self) -> Position {
        *self.walls.head.borrow()
    }

    pub fn paint(&self, wall: &str, coat: usize) {
        self.walls.announce(Painted::NAME, wall, coat);
    }

    pub fn announce(&self, contract: &str, wall: &str, coat: usize) {
        self.walls.announce(contract, wall, coat);
    }

    pub fn start_relay(&self) {
        let publisher = Arc::clone(&self.broker) as _;
        let store = Arc::new(Trapped(Arc::clone(&self.relays), Arc::clone(&self.broker)));
        let mut relay = Forwarder::new(Arc::clone(&self.walls) as _, publisher, store);
        if self.asks {
            relay = relay.asked_through(Arc::new(Handle(Arc::clone(&self.broker))));
        }
        let running = task::spawn("relay", relay.run(CancellationToken::new()));
        self.relay.lock().push(running);
    }

    pub fn kill_relay(&self) {
        self.relay.lock().drain(..).for_each(|relay| relay.abort());
    }

    pub fn start_consumer(&self) {
        self.start(self.consumer(ConsumerLimits {
            backoff_base: Duration::from_millis(1),
            backoff_max: Duration::from_millis(5),
            attempts_max: u32::MAX,
            ..ConsumerLimits::default()
        }));
    }

    pub fn start(&self, consumer: Consumer) {
        let running = task::spawn("consumer", consumer.run(CancellationToken::new()));
        self.consumer.lock().push(running);
    }

    pub fn kill_consumer(&self) {
        self.consumer
            .lock()
            .drain(..)
            .for_each(|consumer| consumer.abort());
    }

    pub fn consumer(&self, limits: ConsumerLimits) -> Consumer {
        let broker = Arc::new(Handle(Arc::clone(&self.broker)));
        let consumer = Consumer::new("painter", Arc::clone(&self.consumers) as _, broker);
        let consumer = consumer
            .limits(limits)
            .asking(Arc::clone(&self.broker) as _);
        let (painted, scraped) = (self.effect(true), self.effect(false));
        consumer
            .on(move |it: Painted, received| painted(it.wall, it.coat, received))
            .on(move |it: Scraped, received| scraped(it.wall, it.coat, received))
    }

    /// An effect that commits with its inbox key, takes a while and fails as told, before or after it.
    fn effect(
        &self,
        painted: bool,
    ) -> impl Fn(
        String,
        usize,
        Received,
    ) -> futures_util::future::BoxFuture<'static, Result<(), HandlerError>>
    + Send
    + Sync
    + 'static {
        let (seen, inbox) = (Arc::clone(&self.seen), Arc::clone(&self.inbox));
        let (fails, dice) = (Arc::clone(&self.fails), Arc::clone(&self.dice));
        move |wall, coat, received| {
            let (seen, inbox) = (Arc::clone(&seen), Arc::clone(&inbox));
            let roll = || dice.lock().percent(fails.load(Ordering::SeqCst));
            let (before, after, slow) = (roll(), roll(), roll());
            Box::pin(async move {
                if before {
                    return Err(HandlerError::Failed("before".into()));
                }
                tokio::time::sleep(Duration::from_millis(if slow { 300 } else { 1 })).await;
                // The text of the key is what a store keeps; here its position is enough.
                let position = Position(received.id.as_u128() as i64);
                if inbox.lock().insert(received.id, position).is_none() {
                    seen.lock().entry(wall).or_default().push((coat, painted));
                }
                if after {
                    return Err(HandlerError::Failed("after".into()));
                }
                Ok(())
            })
        }
    }

    /// Forgets what the consumer is past and has not parked.
    pub async fn prune(&self) {
        let marks = self.consumers.marks("painter").await.unwrap();
        let filter = stanchion_messaging::DeadLetterFilter {
            limit: 1_000,
            ..Default::default()
        };
        let parked = self.consumers.list(&filter).await.unwrap();
        let parked: HashSet<Uuid> = parked.iter().map(|it| it.message.id).collect();
        let messages = self.walls.messages.lock().clone();
        for message in messages {
            let partition = stanchion_messaging::partition_of(&message.key);
            let family = stanchion_messaging::contract::family(&message.contract);
            let past = marks.iter().any(|mark| {
                mark.partition == partition
                    && mark.family == family
                    && mark.position >= message.origin.position
            });
            if past && !parked.contains(&message.id) {
                self.inbox.lock().remove(&message.id);
            }
        }
    }

    /// What is to be seen: each message of the log that has a handler, once, in order by key.
    pub fn expected(&self) -> Seen {
        let mut expected = Seen::new();
        for message in self.walls.messages.lock().iter() {
            let coat = message.payload["coat"].as_u64().unwrap() as usize;
            let painted = message.contract == Painted::NAME;
            let wall = expected.entry(message.key.clone()).or_default();
            wall.push((coat, painted));
        }
        expected
    }

    /// Waits until as much was seen as there is to see.
    pub async fn settle(&self) {
        let total = |seen: &Seen| seen.values().map(Vec::len).sum::<usize>();
        let wanted = total(&self.expected());
        let settled = tokio::time::timeout(Duration::from_secs(900), async {
            while total(&self.seen.lock()) < wanted {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            // What comes twice comes soon.
            tokio::time::sleep(Duration::from_secs(25)).await;
        });
        if settled.await.is_err() {
            let marks = self.consumers.marks("painter").await;
            let kept = self.relays.kept("walls", LOG);
            let filter = stanchion_messaging::DeadLetterFilter {
                limit: 1_000,
                ..Default::default()
            };
            let parked = self.consumers.list(&filter).await;
            let (seen, expected) = (self.seen.lock().clone(), self.expected());
            panic!(
                "saw {seen:?} of {expected:?}; parked {parked:?}; marks {marks:?}; relay {kept:?}"
            );
        }
    }

    /// The order of a wall's paint alone, or of all.
    pub fn only(seen: &Seen, painted: bool) -> Seen {
        let own = |coats: &Vec<(usize, bool)>| {
            coats.iter().copied().filter(|it| it.1 == painted).collect()
        };
        seen.iter()
            .map(|(wall, coats)| (wall.clone(), own(coats)))
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill_relay();
        self.kill_consumer();
    }
}
