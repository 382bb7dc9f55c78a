use std::sync::Arc;
use std::time::Duration;

use stanchion_cache::{Cache, CacheSettings, LoadFailed, Loaded, MemoryRemote, Remote};
use stanchion_resilience::Dice;
use stanchion_runtime::task::spawn;
use stanchion_telemetry::Metrics;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep};

use super::support::{Broken, Store, alone, key, pair, settings};

#[tokio::test(start_paused = true)]
async fn of_a_thousand_who_miss_at_once_one_loads() {
    let (store, cache) = (Store::new(7).slow(200), alone());
    let mut asking = JoinSet::new();
    for _ in 0..1_000 {
        let (store, cache) = (store.clone(), cache.clone());
        asking.spawn(async move { cache.get_or_load(&key(), store.loader()).await });
    }
    let begun = Instant::now();
    while let Some(answer) = asking.join_next().await {
        assert_eq!(answer.unwrap().unwrap().as_deref(), Some(&7));
    }
    assert_eq!(store.loads(), 1);
    assert!(
        begun.elapsed() <= Duration::from_millis(250),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn who_began_the_load_may_leave_and_there_is_still_one() {
    let (store, cache) = (Store::new(7).slow(200), alone());
    let first = spawn("get", {
        let (store, cache) = (store.clone(), cache.clone());
        async move { cache.get_or_load(&key(), store.loader()).await }
    });
    sleep(Duration::from_millis(50)).await;
    let second = spawn("get", {
        let (store, cache) = (store.clone(), cache.clone());
        async move { cache.get_or_load(&key(), store.loader()).await }
    });
    sleep(Duration::from_millis(50)).await;
    first.abort();
    assert_eq!(second.await.unwrap().unwrap().as_deref(), Some(&7));
    assert_eq!(store.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_who_wait_whoever_leaves_there_is_still_one_load() {
    let (store, cache) = (Store::new(7).slow(200), alone());
    let mut asking = Vec::new();
    for _ in 0..1_000 {
        let (store, cache) = (store.clone(), cache.clone());
        asking.push(spawn("get", async move {
            cache.get_or_load(&key(), store.loader()).await
        }));
    }
    // First of all the one that began the load.
    for leaving in asking[..500].chunks(100) {
        sleep(Duration::from_millis(30)).await;
        leaving.iter().for_each(|asked| asked.abort());
    }
    for asked in asking.drain(500..) {
        assert_eq!(asked.await.unwrap().unwrap().as_deref(), Some(&7));
    }
    assert_eq!(store.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_all_have_left_what_is_loaded_is_kept_all_the_same() {
    let (store, cache) = (Store::new(7).slow(200), alone());
    let patience = Duration::from_millis(50);
    let got = tokio::time::timeout(patience, store.get(&cache)).await;
    assert!(got.is_err());
    sleep(Duration::from_millis(200)).await;
    assert_eq!(store.get(&cache).await, Some(7));
    assert_eq!(store.loads(), 1);
}

/// Of a thousand a second the first is chosen 0.2 s · ln(1000 · 0.2) = 1.06 s before the end, the mean a tenth earlier.
#[tokio::test(start_paused = true)]
async fn a_hot_key_is_never_waited_for_again() {
    let store = Store::new(7).slow(200);
    let cache = alone();
    store.get(&cache).await;
    let begun = Instant::now();
    let mut waited = 0;
    while begun.elapsed() < Duration::from_secs(300) {
        let asked = Instant::now();
        store.get(&cache).await;
        waited += u32::from(asked.elapsed() > Duration::ZERO);
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(waited, 0);
    // Ten seconds an entry, give or take a tenth: one is loaded each 8.6 to 9.4 s.
    assert!(
        (32..=36).contains(&store.loads()),
        "{} loads",
        store.loads()
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_loaded_at_once_does_not_end_at_once() {
    const KEYS: u64 = 200;
    let settings = CacheSettings {
        refresh_on: false,
        ..settings()
    };
    let builder = Cache::<u64, u64>::builder("test", &settings).dice(Dice::seeded(1));
    let (store, cache) = (Store::new(7), builder.build());
    let loaded_by = async |millis: u64| {
        advance(Duration::from_millis(millis)).await;
        for key in 0..KEYS {
            cache.get_or_load(&key, store.loader()).await.unwrap();
        }
        store.loads()
    };
    assert_eq!(loaded_by(0).await, KEYS);
    assert_eq!(loaded_by(8_900).await, KEYS, "none before nine tenths");
    let half = loaded_by(1_100).await - KEYS;
    assert!((60..140).contains(&half), "{half} of {KEYS} after its time");
    assert_eq!(loaded_by(1_100).await, 2 * KEYS, "all after eleven tenths");
}

#[tokio::test(start_paused = true)]
async fn that_there_is_nothing_is_kept_for_a_shorter_time() {
    let (store, cache) = (Store::empty(), alone());
    for _ in 0..3 {
        assert_eq!(store.get(&cache).await, None);
    }
    assert_eq!(store.loads(), 1);
    advance(Duration::from_millis(2_300)).await;
    assert_eq!(store.get(&cache).await, None);
    assert_eq!(store.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_all_who_wait_and_not_kept() {
    let (store, cache) = (Store::new(7).slow(10), alone());
    store.break_it(true);
    let tea = key();
    let ask = || cache.get_or_load(&tea, store.loader());
    let (one, other) = tokio::join!(ask(), ask());
    for failed in [one.unwrap_err(), other.unwrap_err()] {
        assert_eq!(failed.of::<Broken>(), Some(&Broken), "{failed}");
    }
    assert_eq!(store.loads(), 1);
    store.break_it(false);
    assert_eq!(store.get(&cache).await, Some(7));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_hangs_or_panics_fails_and_nothing_else_does() {
    let cache = alone();
    let hanging = || std::future::pending::<Result<Loaded<u64>, Broken>>();
    let hung = cache.get_or_load(&key(), hanging).await;
    assert!(matches!(hung, Err(LoadFailed::TimedOut(_))), "{hung:?}");
    let panicking = || async { panic!("no such luck") as Result<Loaded<u64>, Broken> };
    let panicked = cache.get_or_load(&key(), panicking).await;
    assert!(
        matches!(panicked, Err(LoadFailed::Panicked(_))),
        "{panicked:?}"
    );
    assert_eq!(Store::new(7).get(&cache).await, Some(7));
}

#[tokio::test(start_paused = true)]
async fn beyond_its_time_an_entry_is_given_only_when_loading_fails() {
    let lenient = CacheSettings {
        stale_max: Duration::from_secs(30),
        refresh_on: false,
        ..settings()
    };
    let cache = Cache::builder("test", &lenient).build();
    let store = Store::new(7);
    store.get(&cache).await;
    store.set(8);
    store.break_it(true);
    advance(Duration::from_secs(12)).await;
    assert_eq!(store.get(&cache).await, Some(7));
    store.break_it(false);
    assert_eq!(store.get(&cache).await, Some(8));
    store.break_it(true);
    advance(Duration::from_secs(60)).await;
    assert!(cache.get_or_load(&key(), store.loader()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn who_asks_after_an_invalidation_does_not_join_a_load_from_before() {
    let (store, cache) = (Store::new(7).slow(100), alone());
    let before = spawn("get", {
        let (store, cache) = (store.clone(), cache.clone());
        async move { store.get(&cache).await }
    });
    sleep(Duration::from_millis(50)).await;
    store.set(8);
    cache.invalidate(&key()).await;
    assert_eq!(store.get(&cache).await, Some(8));
    assert_eq!(before.await.unwrap(), Some(7), "it asked before");
    assert_eq!(store.get(&cache).await, Some(8));
}

#[tokio::test(start_paused = true)]
async fn an_old_value_on_its_way_to_the_remote_tier_does_not_outlive_an_invalidation() {
    let (remote, [one, other]) = pair();
    let store = Store::new(7).slow(100);
    let slow = spawn("get", {
        let (store, one) = (store.clone(), one.clone());
        async move { store.get(&one).await }
    });
    sleep(Duration::from_millis(50)).await;
    store.set(8);
    other.invalidate(&key()).await;
    slow.await.unwrap();
    for cache in [
        &one,
        &other,
        &Cache::builder("test", &settings()).remote(remote).build(),
    ] {
        assert_eq!(store.get(cache).await, Some(8));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_read_behind_its_writes_gives_nothing_old_to_keep() {
    let (_, [one, other]) = pair();
    let store = Store::new(7).versioned(1);
    one.invalidate_below(&key(), 2).await;
    // The replica still says version 1; it is given, since that is what the store says, and not kept.
    assert_eq!(store.get(&other).await, Some(7));
    let newer = store.set(8).versioned(2);
    for cache in [&other, &one] {
        assert_eq!(newer.get(cache).await, Some(8));
    }
}

#[tokio::test(start_paused = true)]
async fn processes_share_what_one_has_loaded_and_hear_what_another_changes() {
    let (_, [one, other]) = pair();
    let store = Store::new(7);
    assert_eq!(store.get(&one).await, Some(7));
    assert_eq!(store.get(&other).await, Some(7));
    assert_eq!(store.loads(), 1);
    store.set(8);
    other.invalidate(&key()).await;
    assert_eq!(store.get(&one).await, Some(8));
    assert_eq!(store.get(&other).await, Some(8));
    assert_eq!(store.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_the_remote_tier_values_are_loaded_and_stay_a_second_at_most() {
    let (remote, [one, other]) = pair();
    let store = Store::new(7);
    store.get(&one).await;
    remote.set_out(true);
    assert_eq!(store.get(&one).await, Some(7), "from the store");
    assert_eq!(store.loads(), 2);
    store.set(8);
    other.invalidate(&key()).await;
    advance(Duration::from_secs(1)).await;
    assert_eq!(store.get(&one).await, Some(8));
}

#[tokio::test(start_paused = true)]
async fn what_the_remote_tier_was_not_told_is_told_when_it_is_back() {
    let (remote, [one, other]) = pair();
    let store = Store::new(7);
    store.get(&one).await;
    remote.set_out(true);
    store.set(8);
    one.invalidate(&key()).await;
    remote.set_out(false);
    // Before it is told: nothing old comes from there to us.
    assert_eq!(store.get(&one).await, Some(8));
    sleep(Duration::from_millis(500)).await;
    assert_eq!(store.get(&other).await, Some(8));
}

#[tokio::test(start_paused = true)]
async fn entries_of_another_shape_are_loaded_again() {
    let remote = MemoryRemote::default();
    let cache = |schema| -> Cache<String, u64> {
        let builder = Cache::builder("test", &settings()).schema(schema);
        builder.remote(Arc::new(remote.clone())).build()
    };
    let store = Store::new(7);
    store.get(&cache(1)).await;
    store.get(&cache(1)).await;
    assert_eq!(store.loads(), 1);
    store.get(&cache(2)).await;
    assert_eq!(store.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_counted_when_metrics_are_read() {
    let metrics = Metrics::default();
    let builder = Cache::builder("test", &settings()).metrics(&metrics);
    let cache = builder.build();
    Store::new(7).get(&cache).await;
    let text = metrics.encode();
    assert!(text.contains("cache_entries{cache=\"test\"} 1\n"), "{text}");
}

#[tokio::test]
async fn the_remote_tier_in_process_keeps_what_a_remote_tier_promises() {
    stanchion_testing::conformance::cache::run(async || {
        let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
        [Arc::clone(&remote), remote]
    })
    .await;
}
