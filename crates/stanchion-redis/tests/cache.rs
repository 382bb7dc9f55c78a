//! The caches' remote tier on a real Redis: the suite, and what happens while Redis is slow, frozen or gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stanchion_cache::{Cache, CacheSettings, Loaded, Remote};
use stanchion_redis::cache::{CacheTier, CacheTierSettings};
use stanchion_telemetry::Metrics;
use stanchion_testing::servers::Redis;
use tokio::time::{Instant, sleep};

type Numbers = Cache<String, u64>;

/// How soon a lost or found Redis is noticed by all, on a loaded machine.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

fn tier(redis: &Redis) -> CacheTier {
    let settings = CacheTierSettings {
        url: Some(redis.url().into()),
        // The machine that runs the tests may be slow; what waits for Redis says its own budget.
        budget: Duration::from_millis(500),
        ..CacheTierSettings::default()
    };
    CacheTier::open(&settings, &Metrics::default()).unwrap()
}

/// Once it has its connection.
async fn ready(tier: &CacheTier, cache: &str) -> Arc<dyn Remote> {
    let remote = tier.of(cache);
    let begun = Instant::now();
    while remote.get("is anybody there").await.is_err() {
        assert!(begun.elapsed() < NOTICED_WITHIN, "no connection");
        sleep(Duration::from_millis(10)).await;
    }
    remote
}

async fn numbers(tier: &CacheTier) -> Numbers {
    let builder = Cache::builder("numbers", &CacheSettings::default());
    builder.remote(ready(tier, "numbers").await).build()
}

/// A store of one number.
#[derive(Clone, Default)]
struct Store {
    value: Arc<AtomicU64>,
    loads: Arc<AtomicU64>,
}

impl Store {
    async fn get(&self, cache: &Numbers) -> u64 {
        let store = self.clone();
        let load = move || async move {
            store.loads.fetch_add(1, Ordering::SeqCst);
            Ok::<_, std::io::Error>(Loaded::found(store.value.load(Ordering::SeqCst)))
        };
        let answer = cache.get_or_load(&"tea".to_owned(), load).await;
        answer.unwrap().as_deref().copied().unwrap()
    }

    /// Until this cache gives what is stored.
    async fn seen_by(&self, cache: &Numbers) -> Duration {
        let begun = Instant::now();
        while self.get(cache).await != self.value.load(Ordering::SeqCst) {
            assert!(begun.elapsed() < NOTICED_WITHIN, "an old value stays");
            sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }

    async fn write(&self, value: u64, cache: &Numbers) {
        self.value.store(value, Ordering::SeqCst);
        cache.invalidate(&"tea".to_owned()).await;
        assert_eq!(self.get(cache).await, value, "its own writer");
    }
}

#[tokio::test]
async fn it_keeps_what_a_remote_tier_promises() {
    let Some(redis) = Redis::required() else {
        return;
    };
    stanchion_testing::conformance::cache::run(async || {
        let (one, other) = (tier(&redis), tier(&redis));
        [ready(&one, "suite").await, ready(&other, "suite").await]
    })
    .await;
}

#[tokio::test]
async fn another_process_hears_of_a_change_at_once() {
    let Some(redis) = Redis::required() else {
        return;
    };
    let (one, other) = (numbers(&tier(&redis)).await, numbers(&tier(&redis)).await);
    let store = Store::default();
    store.get(&one).await;
    store.get(&other).await;
    let loads = store.loads.load(Ordering::SeqCst);
    assert_eq!(loads, 1, "what one has loaded the other need not");
    for value in 1..=50 {
        store.write(value, &one).await;
        let took = store.seen_by(&other).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[tokio::test]
async fn while_redis_is_gone_values_are_loaded_and_afterwards_nothing_old_is_left() {
    let Some(mut redis) = Redis::required() else {
        return;
    };
    let (one, other) = (numbers(&tier(&redis)).await, numbers(&tier(&redis)).await);
    let store = Store::default();
    store.get(&one).await;
    store.get(&other).await;
    redis.kill().unwrap();
    store.write(1, &one).await;
    // It hears nothing: what it has it keeps for a second.
    let took = store.seen_by(&other).await;
    assert!(took < Duration::from_secs(4), "{took:?}");
    redis.restart().unwrap();
    store.write(2, &other).await;
    store.seen_by(&one).await;
    let loads = || store.loads.load(Ordering::SeqCst);
    let begun = Instant::now();
    // Shared again: a new value is loaded once for both.
    loop {
        store
            .write(store.value.load(Ordering::SeqCst) + 1, &one)
            .await;
        let before = loads();
        store.seen_by(&other).await;
        if loads() == before {
            break;
        }
        assert!(begun.elapsed() < NOTICED_WITHIN, "they share nothing");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_invalidation_that_a_frozen_redis_did_not_hear_is_told_when_it_goes_on() {
    let Some(mut redis) = Redis::required() else {
        return;
    };
    let (one, other) = (numbers(&tier(&redis)).await, numbers(&tier(&redis)).await);
    let store = Store::default();
    store.get(&one).await;
    store.get(&other).await;
    redis.pause().unwrap();
    store.write(1, &one).await;
    sleep(Duration::from_millis(1_500)).await;
    redis.resume().unwrap();
    // Redis still has the old value then; it is told before anybody believes it for long.
    let begun = Instant::now();
    let mut right = 0;
    while right < 100 {
        right = if store.get(&other).await == 1 {
            right + 1
        } else {
            0
        };
        assert!(begun.elapsed() < NOTICED_WITHIN, "an old value stays");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_frozen_redis_costs_a_lookup_its_budget_at_most_and_soon_nothing() {
    let Some(mut redis) = Redis::required() else {
        return;
    };
    let settings = CacheTierSettings {
        url: Some(redis.url().into()),
        ..CacheTierSettings::default()
    };
    let tier = CacheTier::open(&settings, &Metrics::default()).unwrap();
    let builder = Cache::<u64, u64>::builder("numbers", &CacheSettings::default());
    let cache = builder.remote(ready(&tier, "numbers").await).build();
    redis.pause().unwrap();
    let mut waits = Vec::new();
    for key in 0..500_u64 {
        let begun = Instant::now();
        let load = move || async move { Ok::<_, std::io::Error>(Loaded::found(key)) };
        assert_eq!(
            cache.get_or_load(&key, load).await.unwrap().as_deref(),
            Some(&key)
        );
        waits.push(begun.elapsed());
    }
    waits.sort();
    let (median, worst) = (waits[250], waits[499]);
    assert!(
        median < Duration::from_millis(5),
        "the breaker spares the wait: {median:?}"
    );
    // 15 ms, and what a loaded machine adds.
    assert!(worst < Duration::from_millis(250), "{worst:?}");
    redis.resume().unwrap();
}
