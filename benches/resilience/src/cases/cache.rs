//! A hit in process: 1,000 keys, all there, asked for one after the other.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stanchion_cache::{Cache, CacheSettings, Loaded};

use super::{case, on, repeat};
use crate::measure::{Case, Work};

const KEYS: u64 = 1_000;

pub fn cases() -> Vec<Case> {
    let peers = [
        ("moka, with a time to live", moka()),
        ("quick_cache, without", quick_cache()),
    ];
    let ours = ours();
    let mut cases = Vec::new();
    for threads in [1, 2] {
        for (peer, work) in &peers {
            let name = format!("cache, a hit in process, {}, beside {peer}", on(threads));
            cases.push(case(name, threads, &ours, work));
        }
    }
    cases
}

/// The next key, another for each call.
fn next(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed) % KEYS
}

fn ours() -> Work {
    let settings = CacheSettings {
        ttl: Duration::from_secs(3_600),
        ..CacheSettings::default()
    };
    let cache = Cache::<u64, u64>::builder("bench", &settings).build();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime is to be had");
    let load = |key| move || async move { Ok::<_, std::io::Error>(Loaded::found(key)) };
    runtime.block_on(async {
        for key in 0..KEYS {
            cache
                .get_or_load(&key, load(key))
                .await
                .expect("it is loaded");
        }
    });
    let counter = AtomicU64::new(0);
    repeat(move || {
        let key = next(&counter);
        let hit = poll_once(cache.get_or_load(&key, load(key)));
        black_box(hit.expect("a hit waits for nothing").expect("it is there"));
    })
}

/// A hit is ready at the first poll.
fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(answer) => Some(answer),
        std::task::Poll::Pending => None,
    }
}

fn moka() -> Work {
    let cache = moka::sync::Cache::builder()
        .max_capacity(10_000)
        .time_to_live(Duration::from_secs(3_600))
        .build();
    (0..KEYS).for_each(|key| cache.insert(key, Arc::new(key)));
    let counter = AtomicU64::new(0);
    repeat(move || {
        black_box(cache.get(&next(&counter)).expect("it is there"));
    })
}

fn quick_cache() -> Work {
    let cache = quick_cache::sync::Cache::new(10_000);
    (0..KEYS).for_each(|key| cache.insert(key, Arc::new(key)));
    let counter = AtomicU64::new(0);
    repeat(move || {
        black_box(cache.get(&next(&counter)).expect("it is there"));
    })
}
