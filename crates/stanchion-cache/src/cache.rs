mod builder;
mod fetch;
mod tend;

use std::collections::HashSet;
use std::error::Error;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stanchion_resilience::single_flight::{FlightFailed, SingleFlight};
use stanchion_resilience::{Dice, Moment};
use stanchion_runtime::task::{Task, spawn};
use tracing::subscriber::NoSubscriber;

use crate::entry::{Loaded, VERSION_MAX, Worth};
use crate::key::CacheKey;
use crate::local::{Epoch, Local};
use crate::metrics::CacheMetrics;
use crate::owed::Owed;
use crate::remote::Remote;
use crate::settings::CacheSettings;

pub use builder::CacheBuilder;

/// At most so many entries are refreshed at a time; the others' turn comes with a later reader.
const REFRESHES_MAX: usize = 1_000;

/// Values by key that are loaded when they are asked for; clones are the same cache.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion_cache::LoadFailed> {
/// use stanchion_cache::{Cache, CacheSettings, Loaded};
///
/// let prices = Cache::<String, u64>::builder("prices", &CacheSettings::default()).build();
/// let tea = "tea".to_owned();
/// let load = || async { Ok::<_, std::io::Error>(Loaded::found(42)) };
/// assert_eq!(prices.get_or_load(&tea, load).await?.as_deref(), Some(&42));
/// // After the write that changed it:
/// prices.invalidate(&tea).await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Cache<K, V>
where
    K: Hash + Eq,
{
    inner: Arc<Inner<K, V>>,
}

// Not derived: what it keeps need not be `Clone`.
impl<K: Hash + Eq, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Cache {
            inner: Arc::clone(&self.inner),
        }
    }
}

/// Flights of one key and epoch: who asks after an invalidation does not join a load from before it.
type Flights<K, V> = SingleFlight<(K, Epoch), Option<Arc<V>>, LoadFailed>;

#[derive(Debug)]
struct Inner<K: Hash + Eq, V> {
    name: String,
    schema: u32,
    settings: CacheSettings,
    local: Local<K, V>,
    flights: Flights<K, V>,
    remote: Option<Arc<dyn Remote>>,
    /// The remote tier does not tell what others change.
    is_blind: AtomicBool,
    owed: Owed,
    refreshing: Mutex<HashSet<K>>,
    dice: Dice,
    metrics: CacheMetrics,
}

/// Why there is no value.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadFailed {
    /// The loader's error, shared by all who waited.
    #[error("{0}")]
    Failed(Arc<dyn Error + Send + Sync>),
    /// The loader took longer than `load_timeout`, this long, and was given up.
    #[error("it was not loaded within {0:?}")]
    TimedOut(Duration),
    /// The loader panicked; none who waited does.
    #[error("loading it panicked: {0}")]
    Panicked(Arc<str>),
}

impl LoadFailed {
    /// The loader's error, if it is of that type.
    #[must_use]
    pub fn of<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            LoadFailed::Failed(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

impl<K, V> Cache<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// A cache of this name, a label of its metrics: it comes from the program.
    pub fn builder(name: &str, settings: &CacheSettings) -> CacheBuilder<K, V> {
        CacheBuilder::new(name, settings)
    }

    /// What is kept of the key, or what `load` finds; `None`: there is nothing.
    ///
    /// A value may be as old as [`CacheSettings::ttl`]; after an [`invalidate`](Self::invalidate) none is older than
    /// that. `load` runs as a task of its own: it has neither the deadline nor the span of the caller that happens to
    /// begin it, and goes on when that one goes away.
    ///
    /// # Errors
    /// What the one load gave to all who waited for it; nothing of it is kept. With [`CacheSettings::stale_max`] an entry
    /// beyond its time is given instead.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn get_or_load<F, L, E>(&self, key: &K, load: F) -> Result<Option<Arc<V>>, LoadFailed>
    where
        F: FnOnce() -> L + Send + 'static,
        L: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
    {
        let inner = &self.inner;
        if let Some(slot) = inner.local.get(key) {
            let worth = slot.worth(Moment::now(), || inner.dice.share());
            if matches!(worth, Worth::Fresh | Worth::Early) {
                inner.metrics.local.inc();
                if worth == Worth::Early {
                    inner.refresh_behind(key, Some(slot.fresh_until), load);
                }
                return Ok(slot.value);
            }
        }
        let (inner, key) = (Arc::clone(inner), key.clone());
        let epoch = inner.local.epoch(&key);
        // Not the load alone: were the flight dropped with its callers, others would begin a second one beside it.
        let flight = async move {
            let flights = inner.flights.clone();
            let fetch = || inner.fetch(key.clone(), epoch, load);
            flights.call((key.clone(), epoch), fetch).await
        };
        let answer = detached("cache load", flight).await;
        answer
            .unwrap_or_else(|failed| Err(FlightFailed::Panicked(failed.to_string().into())))
            .map_err(|failed| match failed {
                FlightFailed::Failed(error) => error.as_ref().clone(),
                FlightFailed::Panicked(text) => LoadFailed::Panicked(text),
            })
    }

    /// From here on nothing is given that was loaded before. Call it after the write, once that is committed.
    ///
    /// The remote tier is told within its budget, or later if it cannot be reached.
    pub async fn invalidate(&self, key: &K) {
        let told = self.inner.owe(key, 0);
        self.inner.local.forget(key);
        self.inner.tell(told).await;
    }

    /// The same, and for `load_timeout` and 5 s no version below this one is kept, even if its load begins later: for a
    /// store that is read behind its writes. At most [`VERSION_MAX`].
    pub async fn invalidate_below(&self, key: &K, version: u64) {
        let version = version.min(VERSION_MAX);
        let now = Moment::now();
        let guarded_until = now + self.inner.guard();
        let told = self.inner.owe(key, version);
        let local = &self.inner.local;
        local.forget_below(key, version, now, guarded_until);
        self.inner.tell(told).await;
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }
}

/// Runs `work` as a task of no request.
fn detached<T: Send + 'static>(
    name: &'static str,
    work: impl Future<Output = T> + Send + 'static,
) -> Task<T> {
    tracing::subscriber::with_default(NoSubscriber::default(), || spawn(name, work))
}
