//! Whatever happens, nobody is given what was invalidated before they asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stanchion_cache::{Cache, CacheSettings, Loaded, MemoryRemote};
use stanchion_resilience::Dice;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::support::{Broken, Numbers, key};

const SEEDS: u64 = 300;
const STEPS: u64 = 120;

/// The store: each write gives the next number.
#[derive(Clone, Default)]
struct Counter {
    value: Arc<AtomicU64>,
    /// Of what was written, what its writer has invalidated to the end.
    invalidated: Arc<AtomicU64>,
}

impl Counter {
    async fn read(&self, cache: &Numbers, dice: &Dice) -> u64 {
        let (value, before, after) = (self.value.clone(), pause(dice), pause(dice));
        let load = move || async move {
            sleep(before).await;
            let read = value.load(Ordering::SeqCst);
            sleep(after).await;
            Ok::<_, Broken>(Loaded::found(read))
        };
        let answer = cache.get_or_load(&key(), load).await;
        let found = answer.expect("the store does not fail");
        *found.expect("it has a number")
    }
}

fn pause(dice: &Dice) -> Duration {
    Duration::from_millis(dice.number() % 8)
}

/// Two processes, one remote tier that never goes out: reads, writes, invalidations, expiry, all at random times.
async fn one_run(seed: u64) {
    let dice = Dice::seeded(seed);
    let remote = Arc::new(MemoryRemote::default());
    let settings = CacheSettings {
        ttl: Duration::from_millis(40),
        ..CacheSettings::default()
    };
    let caches = [(); 2].map(|()| -> Numbers {
        let builder = Cache::builder("model", &settings).dice(dice.clone());
        builder.remote(remote.clone()).build()
    });
    let counter = Counter::default();
    let mut running = JoinSet::new();
    for _ in 0..STEPS {
        let (counter, chance) = (counter.clone(), dice.clone());
        let cache = caches[(dice.number() % 2) as usize].clone();
        let is_write = dice.number().is_multiple_of(4);
        running.spawn(async move {
            if is_write {
                let written = counter.value.fetch_add(1, Ordering::SeqCst) + 1;
                sleep(pause(&chance)).await;
                cache.invalidate(&key()).await;
                counter.invalidated.fetch_max(written, Ordering::SeqCst);
                return;
            }
            let least = counter.invalidated.load(Ordering::SeqCst);
            let read = counter.read(&cache, &chance).await;
            assert!(
                read >= least,
                "seed {seed}: {read} was read after {least} was there"
            );
        });
        sleep(pause(&dice)).await;
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap_or_else(|failed| panic!("seed {seed}: {failed}"));
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_given_what_was_invalidated_before_they_asked() {
    for seed in 0..SEEDS {
        one_run(seed).await;
    }
}
