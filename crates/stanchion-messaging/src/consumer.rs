//! The consumer: takes contracts, once in effect, with retry and dead letters.

mod arrive;
mod attempt;
mod flight;
mod follow;
mod handler;
mod marks;
mod metrics;
mod pace;
mod recovery;
mod restarts;
mod retry;
mod subscribed;
mod waits;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::{
    AfterLastAttempt, ConsumerStore, Contract, Group, LogId, Parked, Place, Publisher, Subscriber,
    Subscription,
};

use handler::Handler;
pub use handler::{HandlerError, Received};
use restarts::Begun;

/// How long a stop waits for what is being handled: less than a worker's own bound, so that giving back is a clean end.
const GIVE_BACK: Duration = Duration::from_secs(3);

/// And then for its store, to take back the count of retries that were given back, and that its process began.
const TAKE_BACK: Duration = Duration::from_secs(1);

/// Bounds of a consumer.
#[derive(Clone, Debug)]
pub struct ConsumerLimits {
    /// Keys handled at the same time, and as many that are tried again; default 64, for effects that are recorded at the
    /// same time share a commit.
    pub keys_max: usize,
    /// Messages taken up and not dealt with, at most, whole deliveries beyond it; default 1,024.
    pub messages_max: usize,
    /// Memory that they may take before no more is taken up, about; default 64 MiB. What comes last goes beyond it.
    pub bytes_max: usize,
    /// Attempts at messages of one key in a second, spread evenly, as long as none has counted; default none. So it is with first
    /// ones, also of those that waited behind another one, and with those after `HandlerError::Later`.
    pub rate_per_key: Option<u32>,
    /// How long one handling may take; default 30 s.
    pub handler_timeout: Duration,
    /// Attempts before a message is a dead letter; default 20. `HandlerError::Later` does not count; a retry that ended with its
    /// process does, and is counted before it begins. A first attempt that did is counted by the broker, or where there is none by
    /// processes: after three that ended so and came no further the fourth has only retries of what came next.
    pub attempts_max: u32,
    /// The first wait before a retry, doubled each time; default 100 ms.
    pub backoff_base: Duration,
    /// The longest wait; default 30 s.
    pub backoff_max: Duration,
    /// What becomes of a key whose message is a dead letter; by default it waits.
    pub after_last_attempt: AfterLastAttempt,
    /// How often a broker is told that a delivery is still worked on; default 2 s. Less than half of the broker's patience.
    pub extend_every: Duration,
}

impl Default for ConsumerLimits {
    fn default() -> Self {
        Self {
            keys_max: 64,
            messages_max: 1_024,
            bytes_max: 64 << 20,
            rate_per_key: None,
            handler_timeout: Duration::from_secs(30),
            attempts_max: 20,
            backoff_base: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            after_last_attempt: AfterLastAttempt::KeyWaits,
            extend_every: Duration::from_secs(2),
        }
    }
}

/// Takes contracts and handles each once in effect.
///
/// Messages of one key are handled in order, different keys at the same time. A message that fails
/// moves to a retry row, later ones of its key wait behind it, other keys go on. After the last
/// attempt it is a dead letter until an operator redrives or discards it.
///
/// A message of a contract it has no handler for, a newer version of one that it has, is parked until an upgrade brings the
/// handler. With a broker it remembers how far it came in each line of announcements: what is behind is a repeat, and what is
/// missing it [asks](Consumer::asking) for.
///
/// "Once in effect" holds when the handler commits [`Received::inbox`] together with its effect.
pub struct Consumer {
    name: &'static str,
    store: Arc<dyn ConsumerStore>,
    subscriber: Arc<dyn Subscriber>,
    handlers: HashMap<&'static str, Handler>,
    limits: ConsumerLimits,
    metrics: Option<metrics::ConsumerMetrics>,
    publisher: Option<Arc<dyn Publisher>>,
    /// Its broker or store failed when it had been given something, and this process went on. A broker that loses its
    /// connections, or a store that takes some writes and others not, may have a message delivered too often all the same.
    outlived_failure: AtomicBool,
    /// Retries that have begun, as they were before, until how they ended is stored: `keys_max` at most. What a failure of the
    /// store or a stop cuts short counts for nothing.
    under_way: Mutex<HashMap<Uuid, Arc<Parked>>>,
    /// Logs that this process has begun to read by itself.
    begun: Mutex<HashMap<LogId, Begun>>,
    made_at: Timestamp,
}

impl Consumer {
    /// A consumer without handlers. The name is part of its progress: the same for ever.
    pub fn new(
        name: &'static str,
        store: Arc<dyn ConsumerStore>,
        subscriber: Arc<dyn Subscriber>,
    ) -> Self {
        Self {
            name,
            store,
            subscriber,
            handlers: HashMap::new(),
            limits: ConsumerLimits::default(),
            metrics: None,
            publisher: None,
            outlived_failure: AtomicBool::default(),
            under_way: Mutex::default(),
            begun: Mutex::default(),
            made_at: stanchion_runtime::clock::now(),
        }
    }

    /// Other bounds than the default ones.
    #[must_use]
    pub fn limits(mut self, limits: ConsumerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Tries again what failed or has to wait after so long at most, whatever the limits that it was given say.
    #[must_use]
    pub fn retries_within(mut self, longest: Duration) -> Self {
        let limits = &mut self.limits;
        limits.backoff_base = limits.backoff_base.min(longest);
        limits.backoff_max = limits.backoff_max.min(longest);
        self
    }

    /// Asks relays for what a broker lost, through that broker. What comes after something that is missing is then left
    /// aside until the relay has announced it again, in its order. Without it what comes is handled as it comes, and only a
    /// metric says that something is missing.
    #[must_use]
    pub fn asking(mut self, publisher: Arc<dyn Publisher>) -> Self {
        self.publisher = Some(publisher);
        self
    }

    /// Counts what becomes of messages in `stanchion_consumer_messages_total{consumer,outcome}`, shows what is parked in
    /// `stanchion_consumer_parked{consumer,state}`, what is missing in `stanchion_consumer_holes{consumer}`, and what is taken up
    /// in `stanchion_consumer_taken{consumer}` and `stanchion_consumer_taken_bytes{consumer}`.
    #[must_use]
    pub fn metrics(mut self, metrics: &stanchion_telemetry::Metrics) -> Self {
        self.metrics = Some(metrics::ConsumerMetrics::new(self.name, metrics));
        self
    }

    /// Handles the contract `C`. One handler a contract: a second one replaces the first.
    #[must_use]
    pub fn on<C, F, Fut>(mut self, handle: F) -> Self
    where
        C: Contract,
        F: Fn(C, Received) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.handlers.insert(C::NAME, handler::erase(handle));
        self
    }

    /// The consumer's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs until told to stop. What is being handled then has 3 seconds to end; after that it is given
    /// back: nothing of it is acknowledged, and it is delivered again.
    pub async fn run(self, stop: CancellationToken) {
        let given_back = async {
            stop.cancelled().await;
            tokio::time::sleep(GIVE_BACK).await;
        };
        tokio::select! {
            biased;
            () = self.run_to_the_end(&stop) => info!(consumer = self.name, "consumer stopped"),
            () = given_back => warn!(
                consumer = self.name,
                "consumer stopped, and gave back what took too long: it will be delivered again"
            ),
        }
        let taking_back = async {
            self.take_back().await?;
            self.end_in_order().await
        };
        let taken_back = tokio::time::timeout(TAKE_BACK, taking_back).await;
        if !matches!(taken_back, Ok(Ok(()))) {
            warn!(
                consumer = self.name,
                "what was being tried again counts as an attempt, and this stop may count as an end of its process"
            );
        }
    }

    async fn subscribe(
        &self,
        progress: HashMap<LogId, Place>,
    ) -> Result<Box<dyn Subscription>, String> {
        let group = Group {
            name: self.name.to_owned(),
            contracts: self.handlers.keys().copied().collect(),
            progress,
        };
        let subscribed = self.subscriber.subscribe(group).await;
        subscribed.map_err(|error| error.to_string())
    }
}
