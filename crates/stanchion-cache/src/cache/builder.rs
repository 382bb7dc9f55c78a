use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stanchion_resilience::Dice;
use stanchion_telemetry::Metrics;

use super::{Cache, Inner};
use crate::key::CacheKey;
use crate::local::Local;
use crate::metrics::CacheMetrics;
use crate::owed::Owed;
use crate::remote::Remote;
use crate::settings::CacheSettings;

/// Makes a [`Cache`].
#[derive(Debug)]
#[must_use]
pub struct CacheBuilder<K, V> {
    name: String,
    settings: CacheSettings,
    schema: u32,
    remote: Option<Arc<dyn Remote>>,
    dice: Dice,
    metrics: Metrics,
    of: PhantomData<fn() -> (K, V)>,
}

impl<K, V> CacheBuilder<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(super) fn new(name: &str, settings: &CacheSettings) -> Self {
        CacheBuilder {
            name: name.to_owned(),
            settings: settings.clone(),
            schema: 1,
            remote: None,
            dice: Dice::system(),
            metrics: Metrics::default(),
            of: PhantomData,
        }
    }

    /// The tier that processes share; without one the cache is this process's alone.
    pub fn remote(mut self, remote: Arc<dyn Remote>) -> Self {
        self.remote = Some(remote);
        self
    }

    /// The shape of the value, 1 unless said: raise it when its JSON changes. Entries of another shape are loaded
    /// again, their versions still count.
    pub fn schema(mut self, schema: u32) -> Self {
        self.schema = schema;
        self
    }

    /// Where it is measured.
    pub fn metrics(mut self, metrics: &Metrics) -> Self {
        self.metrics = metrics.clone();
        self
    }

    /// Whose throws decide on expiry and refreshes.
    pub fn dice(mut self, dice: Dice) -> Self {
        self.dice = dice;
        self
    }

    /// The cache.
    ///
    /// # Panics
    /// With a remote tier, outside a tokio runtime.
    #[must_use]
    pub fn build(self) -> Cache<K, V> {
        let CacheBuilder { settings, .. } = self;
        let inner = Arc::new(Inner {
            metrics: CacheMetrics::new(&self.metrics, &self.name),
            local: Local::new(settings.entries_max),
            owed: Owed::new(settings.owed_max),
            is_blind: AtomicBool::new(self.remote.is_some()),
            refreshing: Mutex::default(),
            flights: super::Flights::default(),
            name: self.name,
            schema: self.schema,
            remote: self.remote,
            dice: self.dice,
            settings,
        });
        inner.tended();
        let (name, watched) = (format!("cache:{}", inner.name), Arc::downgrade(&inner));
        self.metrics.when_read(&name, watched, Inner::observe);
        Cache { inner }
    }
}
