//! Shared rate limit: how much each key may do, in all processes together.
//!
//! The same GCRA as the local [`KeyedRate`], as one script at the server and by the server's clock. A key takes one
//! small value that expires when it says nothing any more: after `burst / rate` at most. A check is one round trip.
//!
//! Redis may be out. Each check waits for it no longer than its budget (15 ms), and after some that did in vain a
//! breaker spares the rest the wait. What happens then is stated, never implied: [`WhenOut::Fallback`] limits each
//! process to its part of the rate, so that all together still allow about the rate; [`WhenOut::Closed`] refuses.
//!
//! What survives what: a limit lives in Redis alone, so a restart of ours forgets nothing; one of Redis without
//! persistence gives every key its burst back. A failover may lose the last moments' calls. When Redis goes out each
//! process begins with its part of the burst, and a call whose answer was lost may be counted there too.

mod connection;
mod guard;
mod metrics;
mod script;
mod settings;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use stanchion_resilience::breaker::Breaker;
use stanchion_resilience::rate::{KeyLimit, KeyedRate, RateSettings};
use stanchion_resilience::{Dice, Failure, GuardByLayer, Moment, Refusal};
use stanchion_telemetry::Metrics;

pub use guard::KeyGuard;
pub use settings::{SharedRateSettings, WhenOut};

use crate::budget::{Out, breaker_settings};
use connection::Connection;
use metrics::RateMetrics;
use script::{Decision, Quota};

/// A longer key is stored as its digest: what comes from outside must not decide how much memory it takes.
const KEY_BYTES_MAX: usize = 128;

/// When a refused caller may ask again while the limit is closed for want of Redis.
const CLOSED_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A limit for each key that all processes share; clones share the connection.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use stanchion_redis::rate::{SharedRate, SharedRateSettings};
/// use stanchion_telemetry::Metrics;
///
/// let settings = SharedRateSettings {
///     url: Some("redis://127.0.0.1:6379".into()),
///     ..SharedRateSettings::default()
/// };
/// let logins = SharedRate::open("login", &settings, &Metrics::default())?;
/// match logins.check("ann@example.org", 1).await {
///     Ok(()) => println!("go on"),
///     Err(refused) => println!("429, Retry-After: {:?}", refused.retry_after()),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct SharedRate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    settings: SharedRateSettings,
    quota: Quota,
    connection: Connection,
    fallback: KeyedRate<String>,
    metrics: RateMetrics,
}

/// Why a shared limit could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SharedRateError {
    /// No URL is set.
    #[error("the URL of Redis is not set")]
    NoUrl,
    /// The URL cannot be used; the text names no password.
    #[error("the URL of Redis cannot be used: {0}")]
    Url(String),
}

impl SharedRate {
    /// The limit of this name, by the settings' URL. It connects in the background and does not wait for Redis.
    ///
    /// The name is part of each key and a label of the metrics, so it comes from the program.
    ///
    /// # Errors
    /// On a URL that is missing or malformed; a Redis that does not answer is no error.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(
        name: &str,
        settings: &SharedRateSettings,
        metrics: &Metrics,
    ) -> Result<Self, SharedRateError> {
        let measured = RateMetrics::new(metrics, name);
        let guarded = breaker_settings(&settings.breaker, settings.budget);
        let breaker = Breaker::builder(format!("redis-rate:{name}"), &guarded)
            .dice(Dice::system())
            .on_state_change(measured.breaker_listener())
            .build();
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            quota: Quota::new(&settings.limit),
            connection: Connection::open(breaker, settings)?,
            fallback: KeyedRate::new(&settings.part()),
            settings: settings.clone(),
            metrics: measured,
        });
        let watched = Arc::downgrade(&shared);
        metrics.when_read(&format!("redis-rate:{name}"), watched, Shared::observe);
        Ok(SharedRate { shared })
    }

    /// Takes `cost` calls of `key` out. A cost above the burst never passes.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] with the wait until it would pass; while Redis is out and the limit closed, a second.
    pub async fn check(&self, key: &str, cost: u32) -> Result<(), Refusal> {
        let (shared, metrics) = (&*self.shared, &self.shared.metrics);
        let arguments = shared.quota.arguments(cost);
        match shared.connection.decide(&shared.full(key), arguments).await {
            Ok(Decision::Allowed { .. }) => {
                metrics.allowed.inc();
                Ok(())
            }
            Ok(Decision::Refused { wait }) => {
                metrics.refused.inc();
                Err(Refusal::RateLimited { retry_after: wait })
            }
            Err(Out) => shared.without_redis(key, cost),
        }
    }

    /// Gives `cost` calls of `key` back; what is more than it owes is lost, and all of it while Redis is out and it was Redis
    /// that had counted them.
    pub async fn give_back(&self, key: &str, cost: u32) {
        let (shared, metrics) = (&*self.shared, &self.shared.metrics);
        let arguments = shared.quota.given_back(cost);
        match shared.connection.decide(&shared.full(key), arguments).await {
            Ok(_) => drop(metrics.given_back.inc()),
            Err(Out) => shared.fallback.give_back(key, cost),
        }
    }

    /// Runs `call`, of cost 1, if the rate of `key` allows it.
    ///
    /// # Errors
    /// Refused as [`check`](Self::check) does, else what `call` gave.
    pub async fn call<T, E>(
        &self,
        key: &str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        self.check(key, 1).await?;
        call.await.map_err(Failure::Remote)
    }

    /// The guard of a call of this key and cost.
    #[must_use]
    pub fn key(&self, key: impl Into<String>, cost: u32) -> KeyGuard {
        KeyGuard::new(self.clone(), key.into(), cost)
    }

    /// A tower layer over this very limit; `of` tells a request's key and cost.
    pub fn layer<R>(
        &self,
        of: impl Fn(&R) -> (String, u32) + Clone,
    ) -> GuardByLayer<impl Fn(&R) -> KeyGuard + Clone> {
        let rate = self.clone();
        GuardByLayer::new(move |request: &R| {
            let (key, cost) = of(request);
            rate.key(key, cost)
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The breaker in front of Redis, for an operator who forces or resets it.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        self.shared.connection.breaker()
    }
}

/// An answer of a limit that is waited for.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl KeyLimit for SharedRate {
    fn take<'a>(&'a self, key: &'a str, cost: u32) -> Boxed<'a, Result<(), Refusal>> {
        Box::pin(self.check(key, cost))
    }

    fn give_back<'a>(&'a self, key: &'a str, cost: u32) -> Boxed<'a, ()> {
        Box::pin(SharedRate::give_back(self, key, cost))
    }

    fn quota(&self) -> RateSettings {
        self.shared.settings.limit.clone()
    }

    fn keys(&self) -> usize {
        self.shared.fallback.keys()
    }
}

impl Shared {
    /// A key as Redis knows it.
    fn full(&self, key: &str) -> String {
        let (prefix, name) = (&self.settings.prefix, &self.name);
        if key.len() <= KEY_BYTES_MAX {
            return format!("{prefix}:{name}:{key}");
        }
        let digest = Sha256::digest(key);
        let digits = digest.iter().map(|byte| format!("{byte:02x}"));
        format!("{prefix}:{name}:sha256:{}", digits.collect::<String>())
    }

    /// Writes the present state into the gauges.
    fn observe(&self) {
        let keys_max = self.settings.limit.keys_max;
        self.metrics.observe(self.fallback.keys(), keys_max);
    }

    fn without_redis(&self, key: &str, cost: u32) -> Result<(), Refusal> {
        if self.settings.when_out == WhenOut::Closed {
            self.metrics.closed.inc();
            return Err(Refusal::RateLimited {
                retry_after: CLOSED_RETRY_AFTER,
            });
        }
        let checked = self.fallback.check(key, Moment::now(), cost);
        match checked {
            Ok(()) => self.metrics.fallback_allowed.inc(),
            Err(_) => self.metrics.fallback_refused.inc(),
        };
        checked
    }
}

impl SharedRateError {
    fn of(error: redis::RedisError) -> Self {
        // The whole error may show the URL, and with it the password.
        SharedRateError::Url(format!("{:?}", error.kind()))
    }
}
