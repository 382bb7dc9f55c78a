//! A store that counts its loads.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use stanchion_cache::{Cache, CacheSettings, Loaded, MemoryRemote};
use tokio::time::sleep;

/// A load under way.
type Load = Pin<Box<dyn Future<Output = Result<Loaded<u64>, Broken>> + Send>>;

pub(super) type Numbers = Cache<String, u64>;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store is broken")]
pub(super) struct Broken;

#[derive(Clone)]
pub(super) struct Store {
    shared: Arc<Shared>,
    slow: Duration,
    version: u64,
}

struct Shared {
    /// 0: there is nothing.
    value: AtomicU64,
    loads: AtomicU64,
    is_broken: AtomicBool,
}

pub(super) fn key() -> String {
    "tea".to_owned()
}

pub(super) fn settings() -> CacheSettings {
    CacheSettings {
        ttl: Duration::from_secs(10),
        ..CacheSettings::default()
    }
}

pub(super) fn alone() -> Numbers {
    Cache::builder("test", &settings()).build()
}

/// Two processes' caches over one remote tier.
pub(super) fn pair() -> (Arc<MemoryRemote>, [Numbers; 2]) {
    let remote = Arc::new(MemoryRemote::default());
    let cache = || {
        Cache::builder("test", &settings())
            .remote(remote.clone())
            .build()
    };
    (remote.clone(), [cache(), cache()])
}

impl Store {
    pub(super) fn new(value: u64) -> Self {
        let shared = Shared {
            value: value.into(),
            loads: 0.into(),
            is_broken: false.into(),
        };
        Store {
            shared: Arc::new(shared),
            slow: Duration::ZERO,
            version: 0,
        }
    }

    pub(super) fn empty() -> Self {
        Self::new(0)
    }

    /// A load reads at once and takes so many milliseconds to say it.
    pub(super) fn slow(mut self, millis: u64) -> Self {
        self.slow = Duration::from_millis(millis);
        self
    }

    pub(super) fn versioned(&self, version: u64) -> Self {
        Store {
            version,
            ..self.clone()
        }
    }

    pub(super) fn set(&self, value: u64) -> &Self {
        self.shared.value.store(value, Ordering::SeqCst);
        self
    }

    pub(super) fn break_it(&self, is_broken: bool) {
        self.shared.is_broken.store(is_broken, Ordering::SeqCst);
    }

    pub(super) fn loads(&self) -> u64 {
        self.shared.loads.load(Ordering::SeqCst)
    }

    pub(super) fn loader(&self) -> impl FnOnce() -> Load + Send + 'static {
        let store = self.clone();
        move || {
            Box::pin(async move {
                store.shared.loads.fetch_add(1, Ordering::SeqCst);
                let value = store.shared.value.load(Ordering::SeqCst);
                let is_broken = store.shared.is_broken.load(Ordering::SeqCst);
                if !store.slow.is_zero() {
                    sleep(store.slow).await;
                }
                if is_broken {
                    return Err(Broken);
                }
                let found = (value != 0).then_some(value);
                Ok(Loaded::from(found).version(store.version))
            })
        }
    }

    pub(super) async fn get(&self, cache: &Numbers) -> Option<u64> {
        let answer = cache.get_or_load(&key(), self.loader()).await;
        let found = answer.expect("the store is not broken");
        found.as_deref().copied()
    }
}
