//! The relay's way to a broker: one for each context, in the order of its log, for as long as the log lives.

mod asks;
mod hand;
mod keep;
mod letters;
mod memory;
mod metrics;
mod publish;
mod state;
mod store;
mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_telemetry::Metrics;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub(crate) use self::asks::RedriveAsked;
pub use self::memory::MemoryRelayStore;
use self::metrics::RelayMetrics;
pub use self::state::{Again, Redrive, RelayState};
pub use self::store::RelayStore;
use self::turn::Turn;
use crate::{Feed, Position, Publisher, StoreError, Subscriber};

/// The lease is renewed, and asked for again, this many times within its time.
const TRIES_PER_TTL: u32 = 3;

/// For so long a relay may be without a confirmation before it says that it is not well.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bounds of a relay.
#[derive(Clone, Debug)]
pub struct RelayLimits {
    /// How long its lease lasts without being renewed; default 15 s. After a crash nobody announces for so long at most.
    pub lease: Duration,
    /// How often each line tells what was announced last, so that who missed it learns of it; default 20 s.
    pub beacon_every: Duration,
    /// Messages that were read and are not confirmed yet, at most; default 4,096.
    pub unconfirmed_max: usize,
    /// Memory that they may take before no more is read, about; default 64 MiB. The page that was read last goes beyond it.
    pub unconfirmed_bytes_max: usize,
    /// The first wait after the broker refused a message, doubled each time; default 50 ms.
    pub backoff_base: Duration,
    /// The longest wait; default 5 s.
    pub backoff_max: Duration,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            beacon_every: Duration::from_secs(20),
            unconfirmed_max: 4_096,
            unconfirmed_bytes_max: 64 << 20,
            backoff_base: Duration::from_millis(50),
            backoff_max: Duration::from_secs(5),
        }
    }
}

/// Takes what a context announces to a broker: reads its feed from the kept checkpoint on and publishes each message until it
/// is confirmed, partitions at the same time, a partition's messages one after the other.
///
/// One process of a context does it, held by a lease; the others wait. It is woken by the log, follows it for as long as the
/// broker is away, and never stands in the way of who appends. The checkpoint moves only past what is confirmed: a crash
/// announces some messages again, with the same ids, and loses none.
///
/// Each message says what was announced before it in its line ([`Envelope::prev`](crate::Envelope::prev)). A consumer that
/// misses something asks for it ([`Forwarder::asked_through`]) and the line is announced again from there; beacons tell it
/// when nothing else does. A group that has no room for a message holds nobody else up: it finds the hole later, and asks.
/// One whose log has an entry that it does not know, of a newer version, gives the lease back: another process may know it.
/// A message that the broker takes never (it is larger than its bound) is a dead letter of the consumer `relay-CONTEXT`; its
/// line goes on without it, and redriven it comes after what followed it. When the broker's store is another one than before,
/// each line tells at once how far it was.
pub struct Forwarder {
    feed: Arc<dyn Feed>,
    publisher: Arc<dyn Publisher>,
    store: Arc<dyn RelayStore>,
    asks: Option<Arc<dyn Subscriber>>,
    limits: RelayLimits,
    metrics: Option<RelayMetrics>,
    health: RelayHealth,
    /// When it was last said that a group has no room.
    overflow_said: Mutex<Option<Instant>>,
    /// It gave the lease back, for it cannot read its feed, and has not read it since.
    cannot_read: AtomicBool,
    /// Where it was when it last got on, and when that was.
    moved: Mutex<Option<(Position, Instant)>>,
}

impl Forwarder {
    /// A relay of that feed. Its store is that of the feed's context.
    pub fn new(
        feed: Arc<dyn Feed>,
        publisher: Arc<dyn Publisher>,
        store: Arc<dyn RelayStore>,
    ) -> Self {
        Self {
            feed,
            publisher,
            store,
            asks: None,
            limits: RelayLimits::default(),
            metrics: None,
            health: RelayHealth::default(),
            overflow_said: Mutex::default(),
            cannot_read: AtomicBool::default(),
            moved: Mutex::default(),
        }
    }

    /// Takes consumers' asks for what they have missed from that broker; they must have a way to ask
    /// ([`Consumer::asking`](crate::Consumer::asking)). Without it a group that has no room is waited for, and a broker whose
    /// store was lost is given the whole log again.
    #[must_use]
    pub fn asked_through(mut self, subscriber: Arc<dyn Subscriber>) -> Self {
        self.asks = Some(subscriber);
        self
    }

    /// Other bounds than the default ones.
    #[must_use]
    pub fn limits(mut self, limits: RelayLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Shows how far it is behind: `stanchion_relay_lag_positions`, `stanchion_relay_lag_seconds` and others, by context.
    #[must_use]
    pub fn metrics(mut self, metrics: &Metrics) -> Self {
        self.metrics = Some(RelayMetrics::new(self.feed.name(), metrics));
        self
    }

    /// How it is, for readiness: ask it at any time.
    #[must_use]
    pub fn health(&self) -> RelayHealth {
        self.health.clone()
    }

    /// Runs whenever and as long as this process holds the lease, until told to stop. Messages that were handed to the
    /// broker then have 2 seconds to be confirmed.
    pub async fn run(self, stop: CancellationToken) {
        let name = self.feed.name().to_owned();
        while !stop.is_cancelled() {
            let asked = Instant::now();
            match self.store.take(&name, self.limits.lease).await {
                Ok(Some(token)) => self.hold(&name, token, asked, &stop).await,
                Ok(None) => self.health.well(),
                Err(error) => {
                    warn!(context = name, %error, "the relay's lease cannot be taken");
                    self.health.failed(&error.to_string());
                }
            }
            // Longer than others wait, where it would be in their way.
            let tries = match self.cannot_read.load(Ordering::Relaxed) {
                true => TRIES_PER_TTL - 1,
                false => TRIES_PER_TTL,
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.limits.lease / tries) => {}
            }
        }
    }

    /// Announces while it holds the lease, which was asked for then.
    async fn hold(&self, name: &str, token: i64, asked: Instant, stop: &CancellationToken) {
        info!(context = name, token, "relay started");
        self.held(true);
        let ended = tokio::select! {
            // First: an answer that came late may have told of a lease that is over already.
            biased;
            () = self.keep(name, token, asked) => Err(StoreError("the lease is lost".into())),
            ended = self.serve(name, token, stop) => ended,
        };
        self.held(false);
        match ended {
            Ok(()) if self.cannot_read.load(Ordering::Relaxed) && !stop.is_cancelled() => {
                warn!(
                    context = name,
                    token, "the relay cannot read its feed: another process may"
                );
            }
            Ok(()) => info!(context = name, token, "relay stopped"),
            Err(error) => {
                warn!(context = name, token, %error, "relay interrupted");
                self.health.failed(&error.to_string());
            }
        }
        if let Err(error) = self.store.release(name, token).await {
            warn!(context = name, %error, "the relay's lease could not be given back and will expire");
        }
    }

    async fn serve(
        &self,
        name: &str,
        token: i64,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let state = self.store.load(name, self.feed.log_id(), token).await?;
        let Some(state) = state else {
            return Err(StoreError("the lease is lost".into()));
        };
        // Whatever was wrong with lease and store is over, and there may be nothing to announce for days.
        if !self.cannot_read.load(Ordering::Relaxed) {
            self.health.well();
        }
        let (asks, asked) = tokio::sync::mpsc::channel(asks::ASKS_MAX);
        let listening = async {
            match &self.asks {
                Some(subscriber) => asks::listen(self.feed.as_ref(), subscriber, &asks).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = Turn::new(self, name, token, state).run(asked, stop) => ended,
            () = listening => Ok(()),
        }
    }

    /// Renews until the lease is lost, or was not renewed for its whole time.
    async fn keep(&self, name: &str, token: i64, asked: Instant) {
        let ttl = self.limits.lease;
        let mut end = asked + ttl;
        while Instant::now() < end {
            tokio::time::sleep_until(end.min(Instant::now() + ttl / TRIES_PER_TTL)).await;
            let asked = Instant::now();
            match tokio::time::timeout_at(end, self.store.renew(name, token, ttl)).await {
                Ok(Ok(true)) => end = asked + ttl,
                Ok(Ok(false)) => return,
                Ok(Err(error)) => {
                    warn!(context = name, %error, "the relay's lease was not renewed")
                }
                Err(_) => {}
            }
        }
    }

    fn held(&self, held: bool) {
        if let Some(metrics) = &self.metrics {
            metrics.held(held);
        }
    }
}

/// How a relay is; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RelayHealth(Arc<Mutex<Option<(Instant, String)>>>);

impl RelayHealth {
    /// Whether it gets on. A relay that waits for its lease is well: another process has it.
    ///
    /// # Errors
    /// For 10 seconds nothing was confirmed that should have been, or the feed or store could not be read; the last reason.
    pub fn check(&self) -> Result<(), String> {
        match &*self.0.lock() {
            Some((since, reason)) if since.elapsed() >= PATIENCE => Err(reason.clone()),
            _ => Ok(()),
        }
    }

    fn is_failing(&self) -> bool {
        self.0.lock().is_some()
    }

    fn failed(&self, reason: &str) {
        let mut state = self.0.lock();
        let since = state
            .as_ref()
            .map_or_else(Instant::now, |(since, _)| *since);
        *state = Some((since, reason.to_owned()));
    }

    fn well(&self) {
        *self.0.lock() = None;
    }
}
