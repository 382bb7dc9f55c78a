use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use stanchion::resilience::rate::RateSettings;
use stanchion::telemetry::Metrics;

use super::Limits;

stanchion::config::settings! {
    /// How often somebody may try to get in, in all processes together. Of logins and tokens only those that fail count.
    pub struct AttemptSettings {
        /// Whether attempts are limited.
        pub on: bool = true,
        /// Failed logins at once under one name, from devices that are not known to its account.
        #[range(1..=100)]
        pub name_burst: u32 = 10,
        /// One more after each of these.
        #[range("1s"..="1d")]
        pub name_every: Duration = "30s",
        /// Consecutive wrong passwords on one account: a quarter under each of its two names, a quarter from each known device, a
        /// quarter where it is changed.
        #[range(4..=100)]
        pub failures_max: u32 = 100,
        /// Failed logins at once from a device that has logged in to the account before; and wrong passwords where an account's
        /// is changed.
        #[range(1..=100)]
        pub device_burst: u32 = 10,
        /// One more after each of these.
        #[range("1s"..="1d")]
        pub device_every: Duration = "10s",
        /// Failed logins at once from one address; of IPv6, from one network of 64 bits.
        #[range(1..=1000000)]
        pub address_burst: u32 = 50,
        /// One more after each of these.
        #[range("1ms"..="1h")]
        pub address_every: Duration = "1s",
        /// Failed logins at once from all devices that are not known.
        #[range(1..=1000000)]
        pub all_burst: u32 = 1000,
        /// One more after each of these.
        #[range("1ms"..="1m")]
        pub all_every: Duration = "20ms",
        /// Users registered at once from one address.
        #[range(1..=1000000)]
        pub register_burst: u32 = 200,
        /// One more after each of these.
        #[range("1ms"..="1h")]
        pub register_every: Duration = "1s",
        /// Wrong refresh tokens, codes and client secrets at once from one address.
        #[range(1..=1000000)]
        pub token_burst: u32 = 200,
        /// One more after each of these.
        #[range("1ms"..="1h")]
        pub token_every: Duration = "100ms",
        /// The same at once of one OAuth client. Beyond, what is wrong is answered with 429; what is right is always let in.
        #[range(1..=1000000)]
        pub token_client_burst: u32 = 200,
        /// One more after each of these.
        #[range("1ms"..="1h")]
        pub token_client_every: Duration = "100ms",
        /// Letters to set a password anew, or to prove an address, that are asked for at once from one address.
        #[range(1..=1000000)]
        pub reset_burst: u32 = 20,
        /// One more after each of these.
        #[range("1s"..="1d")]
        pub reset_every: Duration = "30s",
        /// Such letters at once to one address of e-mail, and of the second kind to one user.
        #[range(1..=1000)]
        pub reset_name_burst: u32 = 3,
        /// One more after each of these.
        #[range("1s"..="1d")]
        pub reset_name_every: Duration = "10m",
        /// Names, addresses and devices of each limit that this process remembers; more share one limit, and of series of
        /// failures the oldest are forgotten.
        #[range(100..=10000000)]
        pub keys_max: usize = 100000,
    }
}

/// The gauge of what all of them remember.
const KEYS: &str = "identity_attempt_keys";

/// How many limits remember keys.
pub(super) const LIMITS: usize = 12;

/// Beside them the addresses that brought something wrong are remembered, as many at most as keys of a limit.
const MEMORIES: usize = LIMITS + 1;

/// So many at once, and one more after each span.
pub(super) fn rate(burst: u32, every: Duration, keys_max: usize) -> RateSettings {
    RateSettings {
        per_second: 1.0 / every.as_secs_f64(),
        burst,
        keys_max,
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    kind: &'static str,
    outcome: &'static str,
}

/// What the limits do, counted.
#[derive(Debug)]
pub(super) struct AttemptMetrics {
    attempts: Family<Outcome, Counter>,
    keys: Gauge,
}

impl AttemptMetrics {
    pub(super) fn new(metrics: &Metrics, keys_max: usize) -> Self {
        let max = metrics.gauge(
            "identity_attempt_keys_max",
            "Names, series, addresses and devices that this process can remember for all limits together.",
        );
        max.set(number(keys_max.saturating_mul(MEMORIES)));
        Self {
            attempts: metrics.counter_family(
                "identity_attempts_total",
                "Attempts to log in, register, use a token or reset a password, by whether the limits let them be made.",
            ),
            keys: metrics.gauge(
                KEYS,
                "Names, series, addresses and devices that this process remembers.",
            ),
        }
    }

    pub(super) fn counted(&self, kind: &'static str, is_let_in: bool) {
        let outcome = if is_let_in { "let_in" } else { "refused" };
        self.came_to(kind, outcome);
    }

    pub(super) fn remembered(&self, keys: usize) {
        self.keys.set(number(keys));
    }

    /// Nothing was remembered of it.
    pub(super) fn let_in(&self, kind: &'static str) {
        self.came_to(kind, "let_in");
    }

    fn came_to(&self, kind: &'static str, outcome: &'static str) {
        self.attempts
            .get_or_create(&Outcome { kind, outcome })
            .inc();
    }
}

/// How much all limits remember: to count it is to look through them, which is for whoever reads the metrics.
pub(super) fn keys_when_read(metrics: &Metrics, limits: &Arc<Limits>) {
    metrics.when_read(KEYS, Arc::downgrade(limits), |limits: &Limits| {
        limits.metrics.remembered(limits.keys());
    });
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
