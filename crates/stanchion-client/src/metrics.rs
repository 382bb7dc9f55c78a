//! What is measured of a client beside its policy, all under the one label `dependency`.

use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use stanchion_telemetry::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dependency {
    dependency: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    dependency: String,
    outcome: &'static str,
}

const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// The counters of one client.
#[derive(Debug, Clone)]
pub(crate) struct ClientMetrics {
    name: String,
    attempts: Family<Outcome, Counter>,
    connects: Family<Outcome, Counter>,
    lookups: Family<Outcome, Counter>,
    pub(crate) seconds: Histogram,
    pub(crate) connections: Gauge<i64, AtomicI64>,
    pub(crate) streams: Gauge<i64, AtomicI64>,
    pub(crate) hosts: Gauge<i64, AtomicI64>,
    pub(crate) ejected: Gauge<i64, AtomicI64>,
}

/// One more of a gauge, as long as it lives.
#[derive(Debug)]
pub(crate) struct Counting(Gauge<i64, AtomicI64>);

impl ClientMetrics {
    pub(crate) fn new(metrics: &Metrics, name: &str) -> Self {
        let dependency = || Dependency {
            dependency: name.to_owned(),
        };
        let gauge = |metric: &str, help: &str| {
            let family = metrics.gauge_family(metric, help);
            family.get_or_create(&dependency()).clone()
        };
        let seconds = metrics.histogram_family(
            "stanchion_client_attempt_duration_seconds",
            "From an attempt's first byte to the end of its answer, or to the head of a streamed one.",
            || Histogram::new(BUCKETS),
        );
        Self {
            name: name.to_owned(),
            attempts: metrics.counter_family(
                "stanchion_client_attempts_total",
                "What was sent to a host, by what came of it.",
            ),
            connects: metrics.counter_family(
                "stanchion_client_connects_total",
                "Connections that were tried, by what came of it.",
            ),
            lookups: metrics.counter_family(
                "stanchion_client_lookups_total",
                "Questions for a dependency's addresses, by what came of them.",
            ),
            seconds: seconds.get_or_create(&dependency()).clone(),
            connections: gauge("stanchion_client_connections", "Open connections."),
            streams: gauge(
                "stanchion_client_streams",
                "Open streams and streamed bodies.",
            ),
            hosts: gauge("stanchion_client_hosts", "Hosts that discovery knows."),
            ejected: gauge(
                "stanchion_client_hosts_ejected",
                "Hosts that are left out, when a call last ended.",
            ),
        }
    }

    pub(crate) fn attempted(&self, outcome: &'static str) {
        self.attempts.get_or_create(&self.outcome(outcome)).inc();
    }

    pub(crate) fn connected(&self, outcome: &'static str) {
        self.connects.get_or_create(&self.outcome(outcome)).inc();
    }

    pub(crate) fn looked_up(&self, outcome: &'static str) {
        self.lookups.get_or_create(&self.outcome(outcome)).inc();
    }

    fn outcome(&self, outcome: &'static str) -> Outcome {
        Outcome {
            dependency: self.name.clone(),
            outcome,
        }
    }
}

impl Counting {
    pub(crate) fn of(gauge: &Gauge<i64, AtomicI64>) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.dec();
    }
}
