//! What is measured, under the label `limit`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use stanchion_resilience::breaker::Change;
use stanchion_telemetry::Metrics;

use crate::budget::breaker_listener;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    limit: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limit {
    limit: String,
}

#[derive(Debug)]
pub(super) struct RateMetrics {
    pub(super) allowed: Counter,
    pub(super) refused: Counter,
    pub(super) fallback_allowed: Counter,
    pub(super) fallback_refused: Counter,
    pub(super) closed: Counter,
    pub(super) given_back: Counter,
    breaker: Gauge,
    keys: Gauge,
    keys_max: Gauge,
}

impl RateMetrics {
    pub(super) fn new(metrics: &Metrics, name: &str) -> Self {
        let limit = || name.to_owned();
        let checks = metrics.counter_family(
            "redis_rate_checks_total",
            "Checks of a shared rate limit, by what came of them and whether Redis was asked.",
        );
        let checks = |outcome| {
            let limit = limit();
            checks.get_or_create(&Outcome { limit, outcome }).clone()
        };
        let gauge = |name: &str, help: &str| {
            let limit = limit();
            let family = metrics.gauge_family(name, help);
            family.get_or_create(&Limit { limit }).clone()
        };
        RateMetrics {
            allowed: checks("allowed"),
            refused: checks("refused"),
            fallback_allowed: checks("fallback_allowed"),
            fallback_refused: checks("fallback_refused"),
            closed: checks("closed"),
            given_back: checks("given_back"),
            breaker: gauge(
                "redis_rate_breaker_state",
                "0 closed, 1 open: Redis is out; 2 half-open, 3 forced open, 4 forced closed.",
            ),
            keys: gauge("redis_rate_fallback_keys", "Keys the fallback remembers."),
            keys_max: gauge(
                "redis_rate_fallback_keys_max",
                "Keys the fallback can remember.",
            ),
        }
    }

    pub(super) fn breaker_listener(&self) -> impl Fn(&Change) + Send + Sync + 'static {
        breaker_listener(self.breaker.clone())
    }

    pub(super) fn observe(&self, keys: usize, keys_max: usize) {
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        self.keys_max
            .set(i64::try_from(keys_max).unwrap_or(i64::MAX));
    }
}
