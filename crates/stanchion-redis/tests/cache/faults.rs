//! The suite, and Redis slow, frozen or gone.

use std::sync::atomic::Ordering;
use std::time::Duration;

use stanchion_cache::{Cache, CacheSettings, Loaded};
use stanchion_redis::cache::{CacheTier, CacheTierSettings};
use stanchion_telemetry::Metrics;
use stanchion_testing::servers::Redis;
use tokio::time::{Instant, sleep};

use super::support::{NOTICED_WITHIN, Store, numbers, ready, tier};

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
