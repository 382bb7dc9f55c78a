use std::time::Duration;

use stanchion_cache::{Cache, CacheSettings, MemoryRemote};
use stanchion_runtime::task::spawn;
use stanchion_telemetry::Metrics;
use tokio::time::{Instant, advance, sleep};

use super::support::{Numbers, Store, key, settings};

fn measured(settings: &CacheSettings, remote: Option<&MemoryRemote>) -> (Metrics, Numbers) {
    let metrics = Metrics::default();
    let mut builder = Cache::builder("test", settings).metrics(&metrics);
    if let Some(remote) = remote {
        builder = builder.remote(std::sync::Arc::new(remote.clone()));
    }
    (metrics, builder.build())
}

/// Metrics of the cache, each with what it must be.
#[track_caller]
fn told(metrics: &Metrics, expected: &[(&str, u64)]) {
    let text = metrics.encode();
    for (metric, value) in expected {
        let line = match metric.split_once('/') {
            Some((metric, outcome)) => {
                format!("{metric}{{cache=\"test\",outcome=\"{outcome}\"}} {value}\n")
            }
            None => format!("{metric}{{cache=\"test\"}} {value}\n"),
        };
        assert!(text.contains(&line), "{line}{text}");
    }
}

async fn fails(cache: &Numbers, store: &Store) {
    let answer = cache.get_or_load(&key(), store.loader()).await;
    assert!(answer.is_err());
}

#[tokio::test(start_paused = true)]
async fn each_lookup_is_counted_by_what_answered() {
    let settings = CacheSettings {
        stale_max: Duration::from_secs(10),
        refresh_on: false,
        ..settings()
    };
    let (store, remote) = (Store::new(7), MemoryRemote::default());
    let (metrics, one) = measured(&settings, Some(&remote));
    let (_, other) = measured(&settings, Some(&remote));
    store.get(&other).await;
    store.get(&one).await;
    store.get(&one).await;
    told(
        &metrics,
        &[
            ("cache_lookups_total/remote", 1),
            ("cache_lookups_total/local", 1),
        ],
    );
    other.invalidate(&key()).await;
    store.get(&one).await;
    told(&metrics, &[("cache_lookups_total/loaded", 1)]);
    store.break_it(true);
    // Beyond its ten seconds and the tenth that they are spread by, then beyond what it is given for when loading fails.
    advance(Duration::from_secs(12)).await;
    store.get(&one).await;
    told(&metrics, &[("cache_lookups_total/stale", 1)]);
    advance(Duration::from_secs(10)).await;
    fails(&one, &store).await;
    told(&metrics, &[("cache_lookups_total/failed", 1)]);
}

/// The tier tells us of our own entries, too.
#[tokio::test(start_paused = true)]
async fn what_the_remote_tier_has_is_not_counted_as_outdated_and_what_nobody_keeps_is() {
    let (store, remote) = (Store::new(7).slow(100), MemoryRemote::default());
    for tier in [Some(&remote), None] {
        let (metrics, cache) = measured(&settings(), tier);
        store.get(&cache).await;
        told(&metrics, &[("cache_outdated_total", 0)]);
        cache.invalidate(&key()).await;
        let slow = spawn("get", {
            let (store, cache) = (store.clone(), cache.clone());
            async move { store.get(&cache).await }
        });
        sleep(Duration::from_millis(50)).await;
        cache.invalidate(&key()).await;
        assert_eq!(slow.await.unwrap(), Some(7));
        told(&metrics, &[("cache_outdated_total", 1)]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_went_without_the_remote_tier_and_what_it_is_owed_are_counted() {
    let settings = CacheSettings {
        owed_max: 1,
        ..settings()
    };
    let remote = MemoryRemote::default();
    let (metrics, cache) = measured(&settings, Some(&remote));
    told(
        &metrics,
        &[
            ("cache_blind", 0),
            ("cache_invalidations_owed_max", 1),
            ("cache_entries_max", 10_000),
        ],
    );
    remote.set_out(true);
    Store::new(7).get(&cache).await;
    told(
        &metrics,
        &[("cache_blind", 1), ("cache_remote_bypassed_total", 1)],
    );
    cache.invalidate(&key()).await;
    cache.invalidate(&"milk".to_owned()).await;
    told(
        &metrics,
        &[
            ("cache_remote_bypassed_total", 3),
            ("cache_invalidations_owed", 1),
            ("cache_invalidations_lost_total", 1),
        ],
    );
    remote.set_out(false);
    sleep(Duration::from_millis(500)).await;
    told(
        &metrics,
        &[("cache_blind", 0), ("cache_invalidations_owed", 0)],
    );
}

#[tokio::test(start_paused = true)]
async fn loads_before_an_entrys_end_are_counted() {
    let store = Store::new(7).slow(200);
    let (metrics, cache) = measured(&settings(), None);
    store.get(&cache).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        store.get(&cache).await;
        sleep(Duration::from_millis(10)).await;
    }
    told(
        &metrics,
        &[
            ("cache_lookups_total/loaded", 1),
            ("cache_refreshes_total", store.loads() - 1),
            ("cache_entries", 1),
        ],
    );
}
