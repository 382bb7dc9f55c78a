//! A relay that cannot go on: what it says of itself, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use stanchion_messaging::{
    BrokerError, ConsumerStore, Feed, FeedPage, Forwarder, LogId, MemoryRelayStore, Place,
    Position, Redrive, RelayHealth, RelayState, RelayStore, StoreError,
};
use stanchion_runtime::task::{self, Task};
use stanchion_telemetry::Metrics;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::sleep;
use crate::world::{Walls, World};

/// A store that is away, as told.
#[derive(Default)]
struct Away {
    store: MemoryRelayStore,
    is_away: AtomicBool,
    /// So late it tells who has the lease, once.
    tells_in: Mutex<Duration>,
}

impl Away {
    fn there(&self) -> Result<&MemoryRelayStore, StoreError> {
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(StoreError("away".into())),
            false => Ok(&self.store),
        }
    }
}

#[async_trait]
impl RelayStore for Away {
    async fn take(&self, relay: &str, ttl: Duration) -> Result<Option<i64>, StoreError> {
        let taken = self.there()?.take(relay, ttl).await;
        let tells_in = std::mem::take(&mut *self.tells_in.lock());
        tokio::time::sleep(tells_in).await;
        taken
    }

    async fn renew(&self, relay: &str, token: i64, ttl: Duration) -> Result<bool, StoreError> {
        self.there()?.renew(relay, token, ttl).await
    }

    async fn release(&self, relay: &str, token: i64) -> Result<(), StoreError> {
        self.there()?.release(relay, token).await
    }

    async fn load(
        &self,
        relay: &str,
        log: LogId,
        token: i64,
    ) -> Result<Option<RelayState>, StoreError> {
        self.there()?.load(relay, log, token).await
    }

    async fn save(
        &self,
        relay: &str,
        log: LogId,
        token: i64,
        state: &RelayState,
    ) -> Result<bool, StoreError> {
        self.there()?.save(relay, log, token, state).await
    }

    fn letters(&self) -> &dyn ConsumerStore {
        self.store.letters()
    }

    async fn wish(&self, relay: &str, wish: &Redrive) -> Result<(), StoreError> {
        self.there()?.wish(relay, wish).await
    }

    async fn wishes(&self, relay: &str) -> Result<Vec<(Uuid, Redrive)>, StoreError> {
        self.there()?.wishes(relay).await
    }

    async fn granted(&self, relay: &str, wishes: &[Uuid]) -> Result<(), StoreError> {
        self.there()?.granted(relay, wishes).await
    }
}

/// A log with an entry that nobody knows.
struct Unreadable(Arc<Walls>);

#[async_trait]
impl Feed for Unreadable {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn log_id(&self) -> LogId {
        self.0.log_id()
    }

    async fn read(&self, _after: Place, _limit: usize) -> Result<FeedPage, BrokerError> {
        Err(BrokerError("an event that nobody knows".into()))
    }

    fn changes(&self) -> watch::Receiver<Position> {
        self.0.changes()
    }
}

fn start(
    world: &World,
    feed: Arc<dyn Feed>,
    store: &Arc<Away>,
    metrics: &Metrics,
) -> (Task<()>, RelayHealth) {
    let store = Arc::clone(store) as Arc<dyn RelayStore>;
    let relay = Forwarder::new(feed, Arc::clone(&world.broker) as _, store).metrics(metrics);
    let health = relay.health();
    (
        task::spawn("relay", relay.run(CancellationToken::new())),
        health,
    )
}

#[tokio::test(start_paused = true)]
async fn a_relay_whose_store_came_back_is_well_though_there_is_nothing_to_announce() {
    let (world, store) = (World::new(30), Arc::new(Away::default()));
    let feed = Arc::clone(&world.walls) as Arc<dyn Feed>;
    let (_running, health) = start(&world, feed, &store, &Metrics::default());
    sleep(5_000).await;
    assert_eq!(health.check(), Ok(()));
    store.is_away.store(true, Ordering::SeqCst);
    sleep(60_000).await;
    assert!(health.check().is_err());
    store.is_away.store(false, Ordering::SeqCst);
    sleep(30_000).await;
    assert_eq!(health.check(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_cannot_read_its_log_tells_for_how_long() {
    let (world, store, metrics) = (World::new(31), Arc::default(), Metrics::default());
    let feed = Arc::new(Unreadable(Arc::clone(&world.walls)));
    let (_running, health) = start(&world, feed, &store, &metrics);
    sleep(5_000).await;
    world.paint("a", 1);
    sleep(60_000).await;
    assert!(health.check().is_err());
    let shown = metrics.encode();
    let lag = shown
        .lines()
        .find_map(|line| line.strip_prefix("stanchion_relay_lag_seconds{context=\"walls\"} "))
        .expect("the lag in seconds");
    let lag: u64 = lag.parse().unwrap();
    assert!((50..=65).contains(&lag), "{lag} s");
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_does_not_know_an_entry_leaves_it_to_one_that_does() {
    let (world, store) = (World::new(32), Arc::new(Away::default()));
    let older = Arc::new(Unreadable(Arc::clone(&world.walls)));
    let (_older, health) = start(&world, older, &store, &Metrics::default());
    sleep(1_000).await;
    let newer = Arc::clone(&world.walls) as Arc<dyn Feed>;
    let (_newer, _) = start(&world, newer, &store, &Metrics::default());
    world.paint("a", 1);
    world.start_consumer();
    sleep(30_000).await;
    assert_eq!(*world.seen.lock(), world.expected());
    world.paint("a", 2);
    sleep(60_000).await;
    assert_eq!(*world.seen.lock(), world.expected());
    assert_eq!(health.check(), Ok(()), "somebody else announces");
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_hears_of_its_lease_when_that_is_over_announces_nothing_by_it() {
    let (world, store) = (World::new(33), Arc::new(Away::default()));
    *store.tells_in.lock() = Duration::from_secs(20);
    world.paint("a", 1);
    world.start_consumer();
    let feed = Arc::clone(&world.walls) as Arc<dyn Feed>;
    let (_running, _) = start(&world, feed, &store, &Metrics::default());
    // The lease was given at once, for 15 s.
    sleep(22_000).await;
    assert!(world.seen.lock().is_empty(), "it may be another's by now");
    sleep(30_000).await;
    assert_eq!(*world.seen.lock(), world.expected());
}
