//! How a consumer goes on while its store or its broker is away.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stanchion_messaging::{
    AfterLastAttempt, BrokerError, Consumer, ConsumerStore, Contract, DeadLetterFilter, Delivery,
    Group, HandlerError, Link, LogId, Mark, MemoryConsumerStore, Message, Metadata, Origin, Parked,
    ParkedState, Place, Position, Progress, Receipt, StoreError, Subscriber, Subscription,
    partition_of,
};
use stanchion_runtime::task;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// So often brokers deliver a message by default before it is a dead letter.
const DELIVERIES_MAX: u32 = 1_000;

#[derive(Serialize, Deserialize)]
struct Painted;

impl Contract for Painted {
    const NAME: &'static str = "walls.painted.v1";

    fn key(&self) -> String {
        "north".to_owned()
    }
}

fn message() -> Message {
    Message {
        id: Uuid::from_u128(1),
        contract: Painted::NAME.into(),
        key: Painted.key(),
        payload: serde_json::to_value(Painted).unwrap(),
        origin: Origin {
            log: LogId(Uuid::nil()),
            position: Position(1),
        },
        metadata: Metadata::new(None),
        at: stanchion_runtime::clock::now(),
    }
}

/// Delivers its one message to each subscription until it is acknowledged.
#[derive(Default)]
struct OneMessage {
    is_away: bool,
    subscriptions: AtomicU32,
    deliveries: Arc<AtomicU32>,
    is_acknowledged: Arc<AtomicBool>,
}

struct Member {
    is_given: bool,
    deliveries: Arc<AtomicU32>,
    is_acknowledged: Arc<AtomicBool>,
}

#[async_trait]
impl Subscriber for OneMessage {
    async fn subscribe(&self, _group: Group) -> Result<Box<dyn Subscription>, BrokerError> {
        self.subscriptions.fetch_add(1, Ordering::Relaxed);
        if self.is_away {
            return Err(BrokerError("nobody listens there".into()));
        }
        Ok(Box::new(Member {
            is_given: false,
            deliveries: Arc::clone(&self.deliveries),
            is_acknowledged: Arc::clone(&self.is_acknowledged),
        }))
    }
}

#[async_trait]
impl Subscription for Member {
    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        let is_given = std::mem::replace(&mut self.is_given, true);
        if is_given || self.is_acknowledged.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        self.deliveries.fetch_add(1, Ordering::Relaxed);
        let message = message();
        let link = Link {
            log: message.origin.log,
            partition: partition_of(&message.key),
            prev: Position::START,
            position: message.origin.position,
        };
        Ok(Delivery {
            messages: vec![message],
            progress: Progress::Receipt {
                receipt: Receipt(1),
                links: vec![link],
            },
        })
    }

    async fn acknowledge(&mut self, _receipt: Receipt) -> Result<(), BrokerError> {
        self.is_acknowledged.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// A store that can be read all the time, and takes no writes while it is full.
#[derive(Default)]
struct Disk {
    rows: MemoryConsumerStore,
    is_full: Arc<AtomicBool>,
    /// It says so when it is asked.
    says_so: bool,
}

impl Disk {
    fn write(&self) -> Result<(), StoreError> {
        match self.is_full.load(Ordering::Relaxed) {
            true => Err(StoreError("the disk is full".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl ConsumerStore for Disk {
    async fn takes_writes(&self, _consumer: &str) -> Result<(), StoreError> {
        match self.says_so {
            true => self.write(),
            false => Ok(()),
        }
    }

    async fn progress(&self, consumer: &str) -> Result<HashMap<LogId, Place>, StoreError> {
        self.rows.progress(consumer).await
    }

    async fn advance(&self, consumer: &str, log: LogId, to: Place) -> Result<(), StoreError> {
        self.write()?;
        self.rows.advance(consumer, log, to).await
    }

    async fn marks(&self, consumer: &str) -> Result<Vec<Mark>, StoreError> {
        self.rows.marks(consumer).await
    }

    async fn settle(&self, consumer: &str, marks: &[Mark]) -> Result<(), StoreError> {
        self.write()?;
        self.rows.settle(consumer, marks).await
    }

    async fn blocked(
        &self,
        consumer: &str,
        keys: &[&str],
        after: AfterLastAttempt,
    ) -> Result<Vec<String>, StoreError> {
        self.rows.blocked(consumer, keys, after).await
    }

    async fn wait_behind(&self, parked: &Parked) -> Result<(), StoreError> {
        self.write()?;
        self.rows.wait_behind(parked).await
    }

    async fn park(&self, parked: &Parked) -> Result<(), StoreError> {
        self.write()?;
        self.rows.park(parked).await
    }

    async fn park_again(&self, parked: &Parked) -> Result<bool, StoreError> {
        self.write()?;
        self.rows.park_again(parked).await
    }

    async fn due(
        &self,
        consumer: &str,
        now: Timestamp,
        after: AfterLastAttempt,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        self.rows.due(consumer, now, after, limit).await
    }

    async fn unknown(
        &self,
        consumer: &str,
        contracts: &[&str],
        after: AfterLastAttempt,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        self.rows.unknown(consumer, contracts, after, limit).await
    }

    async fn counts(&self, consumer: &str) -> Result<Vec<(ParkedState, u64)>, StoreError> {
        self.rows.counts(consumer).await
    }

    async fn resolve(&self, consumer: &str, message: Uuid) -> Result<(), StoreError> {
        self.write()?;
        self.rows.resolve(consumer, message).await
    }

    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<Parked>, StoreError> {
        self.rows.list(filter).await
    }

    async fn redrive(
        &self,
        consumer: &str,
        message: Uuid,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write()?;
        self.rows.redrive(consumer, message, now).await
    }

    async fn discard(&self, consumer: &str, message: Uuid) -> Result<bool, StoreError> {
        self.write()?;
        self.rows.discard(consumer, message).await
    }
}

/// How often a message was delivered when its consumer's store had taken no writes for so long. It is handled in the minute
/// after that.
async fn deliveries_in(outage: Duration, says_so: bool) -> u32 {
    let is_full = Arc::new(AtomicBool::new(true));
    let disk = Disk {
        is_full: Arc::clone(&is_full),
        says_so,
        ..Disk::default()
    };
    let broker = Arc::new(OneMessage::default());
    let fails = Arc::clone(&is_full);
    let consumer = Consumer::new("painter", Arc::new(disk), Arc::clone(&broker) as _);
    let consumer = consumer.on(move |_: Painted, _| {
        let fails = fails.load(Ordering::Relaxed);
        async move {
            match fails {
                true => Err(HandlerError::Later("the disk is full".into())),
                false => Ok(()),
            }
        }
    });
    let stop = CancellationToken::new();
    let running = task::spawn("painter", consumer.run(stop.clone()));
    sleep(outage).await;
    let deliveries = broker.deliveries.load(Ordering::Relaxed);
    is_full.store(false, Ordering::Relaxed);
    let handled = timeout(Duration::from_secs(60), async {
        while !broker.is_acknowledged.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(handled.await.is_ok(), "it did not go on");
    stop.cancel();
    running.await.unwrap();
    deliveries
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_costs_one_delivery_however_long_it_lasts() {
    assert_eq!(deliveries_in(HOUR * 12, true).await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_hours_costs_few_deliveries_where_the_store_does_not_say() {
    let deliveries = deliveries_in(HOUR * 4, false).await;
    assert!(deliveries < DELIVERIES_MAX, "{deliveries}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_is_asked_less_and_less_often() {
    let broker = Arc::new(OneMessage {
        is_away: true,
        ..OneMessage::default()
    });
    let store = Arc::new(MemoryConsumerStore::default());
    let consumer = Consumer::new("painter", store, Arc::clone(&broker) as _);
    let consumer = consumer.on(|_: Painted, _| async { Ok::<(), HandlerError>(()) });
    let stop = CancellationToken::new();
    let running = task::spawn("painter", consumer.run(stop.clone()));
    sleep(Duration::from_secs(600)).await;
    // Every five seconds at the latest, and never twice in half of that but for the first few times.
    let asked = broker.subscriptions.load(Ordering::Relaxed);
    assert!((120..=250).contains(&asked), "{asked}");
    stop.cancel();
    running.await.unwrap();
}
