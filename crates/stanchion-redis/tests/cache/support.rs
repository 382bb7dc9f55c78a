//! A store of one number, and caches of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stanchion_cache::{Cache, CacheSettings, Loaded, Remote};
use stanchion_redis::cache::{CacheTier, CacheTierSettings};
use stanchion_telemetry::Metrics;
use stanchion_testing::servers::Redis;
use tokio::time::{Instant, sleep};

pub(super) type Numbers = Cache<String, u64>;

/// How soon a lost or found Redis is noticed by all, on a loaded machine.
pub(super) const NOTICED_WITHIN: Duration = Duration::from_secs(10);

pub(super) fn tier(redis: &Redis) -> CacheTier {
    let settings = CacheTierSettings {
        url: Some(redis.url().into()),
        // The machine that runs the tests may be slow; what waits for Redis says its own budget.
        budget: Duration::from_millis(500),
        ..CacheTierSettings::default()
    };
    CacheTier::open(&settings, &Metrics::default()).expect("the URL is well-formed")
}

/// Once it has its connection.
pub(super) async fn ready(tier: &CacheTier, cache: &str) -> Arc<dyn Remote> {
    let remote = tier.of(cache);
    let begun = Instant::now();
    while remote.get("is anybody there").await.is_err() {
        assert!(begun.elapsed() < NOTICED_WITHIN, "no connection");
        sleep(Duration::from_millis(10)).await;
    }
    remote
}

pub(super) async fn numbers(tier: &CacheTier) -> Numbers {
    let builder = Cache::builder("numbers", &CacheSettings::default());
    builder.remote(ready(tier, "numbers").await).build()
}

/// A store of one number.
#[derive(Clone, Default)]
pub(super) struct Store {
    pub(super) value: Arc<AtomicU64>,
    pub(super) loads: Arc<AtomicU64>,
}

impl Store {
    pub(super) async fn get(&self, cache: &Numbers) -> u64 {
        let store = self.clone();
        let load = move || async move {
            store.loads.fetch_add(1, Ordering::SeqCst);
            Ok::<_, std::io::Error>(Loaded::found(store.value.load(Ordering::SeqCst)))
        };
        let answer = cache.get_or_load(&"tea".to_owned(), load).await;
        let found = answer.expect("the store does not fail");
        *found.expect("it has a number")
    }

    /// Until this cache gives what is stored.
    pub(super) async fn seen_by(&self, cache: &Numbers) -> Duration {
        let begun = Instant::now();
        while self.get(cache).await != self.value.load(Ordering::SeqCst) {
            assert!(begun.elapsed() < NOTICED_WITHIN, "an old value stays");
            sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }

    pub(super) async fn write(&self, value: u64, cache: &Numbers) {
        self.value.store(value, Ordering::SeqCst);
        cache.invalidate(&"tea".to_owned()).await;
        assert_eq!(self.get(cache).await, value, "its own writer");
    }
}
