//! A broker that loses confirmations, repeats, mixes partitions up, goes down and forgets, as told.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use stanchion_messaging::{
    BrokerError, Delivery, Envelope, Group, Link, PARTITIONS, Progress, PublishError, Publisher,
    Receipt, Subscriber, Subscription,
};
use tokio::sync::Notify;
use uuid::Uuid;

const COUNT: usize = PARTITIONS as usize;

/// Numbers that a seed decides.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

/// Where a relay is stopped for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    BeforePublish,
    AfterPublish,
    BeforeSave,
    AfterSave,
}

pub struct State {
    pub store: u64,
    pub streams: [Vec<Envelope>; COUNT],
    transports: HashSet<Uuid>,
    /// How far each group has acknowledged each partition.
    groups: HashMap<String, [usize; COUNT]>,
    pub down: bool,
    /// Messages that it takes never.
    pub refuses: HashSet<Uuid>,
    /// Messages that a partition has room for.
    pub room: usize,
    /// Percent of the publishes that are stored and not confirmed.
    pub lost_confirmations: usize,
    /// Percent of the deliveries that come once more.
    pub repeats: usize,
    pub extended: usize,
    pub trap: Option<(Trap, usize)>,
    pub dice: Dice,
}

pub struct Broker {
    pub state: Mutex<State>,
    pub trapped: Notify,
    /// Something came.
    came: Notify,
}

impl Broker {
    pub fn new(seed: u64) -> Arc<Self> {
        let state = State {
            store: 1,
            streams: Default::default(),
            transports: HashSet::new(),
            groups: HashMap::new(),
            down: false,
            refuses: HashSet::new(),
            room: usize::MAX,
            lost_confirmations: 0,
            repeats: 0,
            extended: 0,
            trap: None,
            dice: Dice::new(seed),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            trapped: Notify::new(),
            came: Notify::new(),
        })
    }

    /// Its store is gone; a new one is there.
    pub fn wipe(&self) {
        let mut state = self.state.lock();
        state.store += 1;
        state.streams = Default::default();
        state.transports.clear();
        state.groups.clear();
    }

    /// The last of what it has confirmed is gone, and nothing says so.
    pub fn forget_last(&self, count: usize) {
        let mut state = self.state.lock();
        for partition in 0..COUNT {
            let left = state.streams[partition].len().saturating_sub(count);
            for lost in state.streams[partition].split_off(left) {
                state.transports.remove(&lost.transport);
            }
            for acknowledged in state.groups.values_mut() {
                acknowledged[partition] = acknowledged[partition].min(left);
            }
        }
    }

    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.down = false;
        state.lost_confirmations = 0;
        state.repeats = 0;
        state.trap = None;
    }

    /// Stops whoever comes to that point at the moment that was told, for ever.
    pub async fn pass(&self, point: Trap) {
        let caught = match &mut self.state.lock().trap {
            Some((trap, left)) if *trap == point => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            _ => false,
        };
        if caught {
            self.trapped.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn store(&self, envelope: &Envelope) -> Result<(), PublishError> {
        let mut state = self.state.lock();
        if state.down {
            return Err(BrokerError("down".into()).into());
        }
        if state.refuses.contains(&envelope.message.id) {
            return Err(PublishError::Refused("too large".into()));
        }
        let room = state.room;
        if state.streams[usize::from(envelope.partition)].len() >= room {
            return Err(PublishError::Overflow("full".into()));
        }
        // As brokers do that know repeats by an id.
        if state.transports.insert(envelope.transport) {
            state.streams[usize::from(envelope.partition)].push(envelope.clone());
            self.came.notify_waiters();
        }
        let chance = state.lost_confirmations;
        if state.dice.percent(chance) {
            return Err(BrokerError("not confirmed".into()).into());
        }
        Ok(())
    }
}

#[async_trait]
impl Publisher for Broker {
    async fn publish(&self, envelope: &Envelope) -> Result<(), PublishError> {
        self.pass(Trap::BeforePublish).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let stored = self.store(envelope);
        self.pass(Trap::AfterPublish).await;
        stored
    }

    async fn store_id(&self) -> Result<String, BrokerError> {
        let state = self.state.lock();
        if state.down {
            return Err(BrokerError("down".into()));
        }
        Ok(state.store.to_string())
    }
}

pub struct Handle(pub Arc<Broker>);

#[async_trait]
impl Subscriber for Handle {
    async fn subscribe(&self, group: Group) -> Result<Box<dyn Subscription>, BrokerError> {
        let mut state = self.0.state.lock();
        if state.down {
            return Err(BrokerError("down".into()));
        }
        let read = *state.groups.entry(group.name.clone()).or_default();
        Ok(Box::new(Reader {
            store: state.store,
            broker: Arc::clone(&self.0),
            group,
            read,
            receipts: HashMap::new(),
            last: 0,
        }))
    }
}

struct Reader {
    broker: Arc<Broker>,
    group: Group,
    store: u64,
    read: [usize; COUNT],
    receipts: HashMap<u64, (usize, usize)>,
    last: u64,
}

impl Reader {
    fn take(&mut self) -> Result<Option<Delivery>, BrokerError> {
        let mut state = self.broker.state.lock();
        if state.down || state.store != self.store {
            return Err(BrokerError("the connection is gone".into()));
        }
        let first = state.dice.below(COUNT);
        for step in 0..COUNT {
            let partition = (first + step) % COUNT;
            let end = state.streams[partition].len();
            // What it forgot, it forgot.
            self.read[partition] = self.read[partition].min(end);
            let start = self.read[partition];
            if start == end {
                continue;
            }
            let count = 1 + state.dice.below(4);
            let end = end.min(start + count);
            let chance = state.repeats;
            if !state.dice.percent(chance) {
                self.read[partition] = end;
            }
            let envelopes = state.streams[partition][start..end].to_vec();
            drop(state);
            return Ok(Some(self.delivery(partition, end, envelopes)));
        }
        Ok(None)
    }

    fn delivery(&mut self, partition: usize, end: usize, envelopes: Vec<Envelope>) -> Delivery {
        self.last += 1;
        self.receipts.insert(self.last, (partition, end));
        let (mut messages, mut links) = (Vec::new(), Vec::new());
        for envelope in envelopes {
            if self.group.wants(&envelope.message.contract) {
                links.push(Link {
                    log: envelope.message.origin.log,
                    partition: envelope.partition,
                    prev: envelope.prev,
                    position: envelope.message.origin.position,
                });
                messages.push(envelope.message);
            }
        }
        let receipt = Receipt(self.last);
        Delivery {
            messages,
            progress: Progress::Receipt { receipt, links },
        }
    }
}

#[async_trait]
impl Subscription for Reader {
    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        loop {
            if let Some(delivery) = self.take()? {
                return Ok(delivery);
            }
            // One that came just now is found after the wait.
            let came = self.broker.came.notified();
            let _ = tokio::time::timeout(Duration::from_millis(100), came).await;
        }
    }

    async fn acknowledge(&mut self, receipt: Receipt) -> Result<(), BrokerError> {
        let mut state = self.broker.state.lock();
        if state.down || state.store != self.store {
            return Err(BrokerError("the connection is gone".into()));
        }
        let (partition, end) = self
            .receipts
            .remove(&receipt.0)
            .expect("a receipt of its own");
        let known = state.streams[partition].len();
        let acknowledged = state.groups.entry(self.group.name.clone()).or_default();
        acknowledged[partition] = acknowledged[partition].max(end).min(known);
        Ok(())
    }

    async fn extend(&mut self, receipt: Receipt) -> Result<(), BrokerError> {
        assert!(self.receipts.contains_key(&receipt.0));
        self.broker.state.lock().extended += 1;
        Ok(())
    }
}
