//! What everybody may know of products, kept near: it is asked for with each look and each order, and changes seldom.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shop_kernel::Sku;
use stanchion::cache::{Cache, CacheSettings, LoadFailed, Loaded, Remote};
use stanchion::eventsourcing::{LogError, Version};
use stanchion::telemetry::Metrics;

use crate::domain::product::{Listed, Product};

/// Raised when [`KnownProduct`]'s JSON changes.
const SCHEMA: u32 = 1;

/// A product that is on offer, as of a version of its stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownProduct {
    pub(crate) listed: Listed,
    pub(crate) available: i64,
    pub(crate) version: i64,
}

/// Products by SKU, kept in this process and, with a remote tier, in one that all share.
///
/// A hint that whoever looks or asks for a price is given. What decides about stock loads the product itself. That there is
/// no such product is not kept: what was just created can be read at once, in every process.
///
/// It is used only while somebody tells it of every change (`followed`): who appends, and who follows the log.
#[derive(Clone, Debug)]
pub struct ProductCache {
    cache: Cache<String, KnownProduct>,
    is_followed: Arc<AtomicBool>,
}

impl ProductCache {
    /// At most `entries_max` in this process, each for `ttl` at most.
    ///
    /// # Panics
    /// With a remote tier, outside a tokio runtime.
    #[must_use]
    pub fn new(
        entries_max: u32,
        ttl: Duration,
        remote: Option<Arc<dyn Remote>>,
        metrics: &Metrics,
    ) -> Self {
        let settings = CacheSettings {
            entries_max,
            ttl,
            absent_ttl: Duration::ZERO,
            ..CacheSettings::default()
        };
        let builder = Cache::builder("products", &settings)
            .schema(SCHEMA)
            .metrics(metrics);
        let builder = match remote {
            Some(remote) => builder.remote(remote),
            None => builder,
        };
        Self {
            cache: builder.build(),
            is_followed: Arc::default(),
        }
    }

    /// The product, from near or as `load` finds it.
    pub(crate) async fn get<F, L>(
        &self,
        sku: &Sku,
        load: F,
    ) -> Result<Option<KnownProduct>, LogError>
    where
        F: FnOnce() -> L + Send + 'static,
        L: Future<Output = Result<Option<KnownProduct>, LogError>> + Send + 'static,
    {
        if !self.is_followed.load(Ordering::Acquire) {
            return load().await;
        }
        let load = || async move { load().await.map(loaded) };
        let found = self.cache.get_or_load(&sku.as_str().to_owned(), load).await;
        let found = found.map_err(log_error)?;
        Ok(found.map(|known| (*known).clone()))
    }

    /// From here on nothing below that version is given; without one, nothing that was loaded before.
    pub(crate) async fn changed(&self, sku: &str, version: Option<Version>) {
        let key = sku.to_owned();
        match version {
            Some(version) => self.cache.invalidate_below(&key, counted(version)).await,
            None => self.cache.invalidate(&key).await,
        }
    }

    /// Whether it is told of every change; while it is not, everybody asks the store.
    pub(crate) fn followed(&self, is_followed: bool) {
        self.is_followed.store(is_followed, Ordering::Release);
    }
}

impl KnownProduct {
    /// `None` for one that is not on offer.
    pub(crate) fn of(product: &Product, version: Option<Version>) -> Option<Self> {
        let (listed, version) = product.listed.clone().zip(version)?;
        Some(Self {
            listed,
            available: product.available,
            version: version.0,
        })
    }
}

/// A stream's versions begin at 0, those of a cache at 1.
fn counted(version: Version) -> u64 {
    u64::try_from(version.0).unwrap_or(0) + 1
}

fn loaded(found: Option<KnownProduct>) -> Loaded<KnownProduct> {
    match found {
        Some(known) => {
            let version = counted(Version(known.version));
            Loaded::found(known).version(version)
        }
        None => Loaded::absent(),
    }
}

fn log_error(failed: LoadFailed) -> LogError {
    let own = failed.of::<LogError>().cloned();
    own.unwrap_or_else(|| LogError::Unavailable(failed.to_string()))
}
