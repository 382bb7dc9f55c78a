//! The remote tier of [`stanchion_cache`]: entries in Redis, and word of every change pushed to all processes.
//!
//! One connection a process carries the calls of all its caches, and what Redis tells by itself: client tracking in
//! broadcast mode (RESP3), so every process hears of each key of the prefix that anybody changes, itself included. While
//! the connection is away, or silent for a second, the caches are told that they are blind, and keep entries for
//! `blind_ttl` only.
//!
//! Each entry is a hash that lives as long as it counts, and at least as long as a load may take: the scripts compare
//! versions and the moment a load began, by the server's clock, in one step. It needs Redis 6 or later, or Valkey. With
//! `maxmemory` an entry may be evicted together with the memory of its last invalidation; an old value that is on its
//! way just then is kept until its time ends. After a failover likewise.

mod link;
mod script;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stanchion_cache::{Change, Found, Out, Put, Remote};
use stanchion_resilience::Dice;
use stanchion_resilience::breaker::{Breaker, State};
use stanchion_telemetry::Metrics;

pub use settings::CacheTierSettings;

use crate::budget::{breaker_listener, breaker_settings};
use link::Link;
use script::Scripts;

/// The tier of a process, for all its caches; clones share the connection.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use stanchion_cache::{Cache, CacheSettings};
/// use stanchion_redis::cache::{CacheTier, CacheTierSettings};
/// use stanchion_telemetry::Metrics;
///
/// let settings = CacheTierSettings {
///     url: Some("redis://127.0.0.1:6379".into()),
///     ..CacheTierSettings::default()
/// };
/// let tier = CacheTier::open(&settings, &Metrics::default())?;
/// let prices = Cache::<String, u64>::builder("prices", &CacheSettings::default())
///     .remote(tier.of("prices"))
///     .build();
/// # let _ = prices;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct CacheTier {
    link: Arc<Link>,
    scripts: Arc<Scripts>,
}

/// Why the tier could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CacheTierError {
    /// No URL is set.
    #[error("the URL of Redis is not set")]
    NoUrl,
    /// The URL cannot be used; the text names no password.
    #[error("the URL of Redis cannot be used: {0}")]
    Url(String),
}

impl CacheTier {
    /// By the settings' URL. It connects in the background and does not wait for Redis.
    ///
    /// # Errors
    /// On a URL that is missing or malformed; a Redis that does not answer is no error.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(settings: &CacheTierSettings, metrics: &Metrics) -> Result<Self, CacheTierError> {
        let guarded = breaker_settings(&settings.breaker, settings.budget);
        let gauge = metrics.gauge(
            "redis_cache_breaker_state",
            "0 closed, 1 open: Redis is out; 2 half-open, 3 forced open, 4 forced closed.",
        );
        let breaker = Breaker::builder("redis-cache", &guarded)
            .dice(Dice::system())
            .on_state_change(breaker_listener(gauge))
            .build();
        Ok(CacheTier {
            link: Link::open(settings, breaker)?,
            scripts: Arc::new(Scripts::new()),
        })
    }

    /// What it is for the cache of this name: caches of the same name and prefix share entries. At most one cache of a
    /// process has it.
    #[must_use]
    pub fn of(&self, cache: &str) -> Arc<dyn Remote> {
        Arc::new(OfCache {
            tier: self.clone(),
            cache: cache.to_owned(),
        })
    }

    /// The breaker in front of Redis, for an operator who forces or resets it.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        self.link.budget().breaker()
    }

    /// Whether it is there, as of the last half second; asks nobody.
    ///
    /// # Errors
    /// Why not, without the URL.
    pub fn check(&self) -> Result<(), &'static str> {
        if !self.link.is_there() {
            return Err("no connection to Redis");
        }
        match self.breaker().state() {
            State::Open | State::ForcedOpen => Err("Redis does not answer in time"),
            _ => Ok(()),
        }
    }
}

impl CacheTierError {
    fn of(error: redis::RedisError) -> Self {
        // The whole error may show the URL, and with it the password.
        CacheTierError::Url(format!("{:?}", error.kind()))
    }
}

/// The tier as one cache has it.
#[derive(Debug)]
struct OfCache {
    tier: CacheTier,
    cache: String,
}

impl OfCache {
    fn full(&self, key: &str) -> String {
        self.tier.link.full(&self.cache, key)
    }
}

#[async_trait]
impl Remote for OfCache {
    async fn get(&self, key: &str) -> Result<Found, Out> {
        let call = self.tier.scripts.fetch(&self.full(key));
        self.tier.link.ask(&call).await
    }

    async fn put(&self, key: &str, put: Put) -> Result<bool, Out> {
        let call = self.tier.scripts.keep(&self.full(key), &put);
        self.tier.link.ask(&call).await
    }

    async fn forget(&self, key: &str, version: u64, guard: Duration) -> Result<(), Out> {
        let call = self.tier.scripts.forget(&self.full(key), version, guard);
        self.tier.link.ask(&call).await
    }

    fn watch(&self, told: Box<dyn Fn(Change<'_>) + Send + Sync>) {
        self.tier.link.watch(&self.cache, told);
    }
}
