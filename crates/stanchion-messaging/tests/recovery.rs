//! How a consumer goes on while its store takes no writes.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use stanchion_messaging::{
    AfterLastAttempt, BrokerError, Consumer, ConsumerStore, DeadLetterFilter, Delivery, Group,
    HandlerError, LogId, Mark, MemoryConsumerStore, Parked, ParkedState, Place, Receipt,
    StoreError, Subscriber, Subscription,
};
use stanchion_runtime::task;
use support::{CONSUMER, Painted, delivery, failed_before, hasty, message};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// So often brokers deliver a message by default before it is a dead letter.
const DELIVERIES_MAX: u32 = 1_000;

/// Delivers its one message to each subscription until it is acknowledged.
#[derive(Default)]
struct OneMessage {
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
        Ok(delivery(message(0, 1, "north"), 0, 1))
    }

    async fn acknowledge(&mut self, _receipt: Receipt) -> Result<(), BrokerError> {
        self.is_acknowledged.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// A store that takes no writes while it is full, and can be read all the time unless it is said.
#[derive(Default)]
struct Disk {
    rows: MemoryConsumerStore,
    is_full: Arc<AtomicBool>,
    /// It says so when it is asked.
    says_so: bool,
    /// Nobody can look then what is due.
    hides_what_is_due: bool,
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
        if self.hides_what_is_due {
            self.write()?;
        }
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
    let consumer = Consumer::new(CONSUMER, Arc::new(disk), Arc::clone(&broker) as _);
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
    let running = task::spawn(CONSUMER, consumer.run(stop.clone()));
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
async fn a_retry_that_the_store_cuts_short_is_no_attempt() {
    const CUTS: u32 = 5;
    let is_full = Arc::new(AtomicBool::new(false));
    let disk = Arc::new(Disk {
        is_full: Arc::clone(&is_full),
        says_so: true,
        hides_what_is_due: true,
        ..Disk::default()
    });
    let parked = failed_before(message(0, 1, "north"), 1);
    disk.rows.park(&parked).await.unwrap();
    let broker = Arc::new(OneMessage::default());
    broker.is_acknowledged.store(true, Ordering::Relaxed);
    let (begun, fills) = (Arc::new(AtomicU32::new(0)), Arc::clone(&is_full));
    let begins = Arc::clone(&begun);
    let consumer = Consumer::new(CONSUMER, Arc::clone(&disk) as _, broker).limits(hasty());
    let consumer = consumer.on(move |_: Painted, _| {
        let is_cut = begins.fetch_add(1, Ordering::Relaxed) < CUTS;
        fills.fetch_or(is_cut, Ordering::Relaxed);
        async move {
            match is_cut {
                true => std::future::pending().await,
                false => Ok::<(), HandlerError>(()),
            }
        }
    });
    let stop = CancellationToken::new();
    let running = task::spawn(CONSUMER, consumer.run(stop.clone()));
    for attempt in 1..=CUTS {
        let tried = timeout(HOUR, async {
            while begun.load(Ordering::Relaxed) < attempt {
                sleep(Duration::from_millis(100)).await;
            }
        });
        assert!(tried.await.is_ok(), "after {} attempts", attempt - 1);
        // Long enough for a look at what is due.
        sleep(Duration::from_secs(1)).await;
        is_full.store(false, Ordering::Relaxed);
    }
    let resolved = timeout(HOUR, async {
        while !disk.rows.counts(CONSUMER).await.unwrap().is_empty() {
            sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(resolved.await.is_ok(), "it did not go on");
    assert_eq!(begun.load(Ordering::Relaxed), CUTS + 1);
    stop.cancel();
    running.await.unwrap();
}
