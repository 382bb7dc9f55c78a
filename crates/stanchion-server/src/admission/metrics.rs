use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use stanchion_resilience::Priority;
use stanchion_resilience::adaptive::Adaptive;
use stanchion_telemetry::Metrics;

use super::rates::Rates;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Asked {
    priority: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct By {
    by: &'static str,
}

/// What admission does, counted.
#[derive(Debug)]
pub(super) struct AdmissionMetrics {
    /// By priority.
    admitted: [Counter; Priority::ALL.len()],
    shed: [Counter; Priority::ALL.len()],
    limit: Gauge,
    running: Gauge,
    queued: Gauge,
    pub(super) arriving: Gauge,
    keys: Family<By, Gauge>,
}

impl AdmissionMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let asked = metrics.counter_family::<Asked>(
            "stanchion_admission_requests_total",
            "Requests that asked to be let in, by what came of it.",
        );
        let asked = |outcome| {
            Priority::ALL.map(|class| {
                let priority = class.label();
                asked.get_or_create(&Asked { priority, outcome }).clone()
            })
        };
        Self {
            admitted: asked("admitted"),
            shed: asked("shed"),
            limit: metrics.gauge(
                "stanchion_admission_limit",
                "Requests that may be worked on at once, as things are.",
            ),
            running: metrics.gauge(
                "stanchion_admission_running",
                "Requests worked on under the limit.",
            ),
            queued: metrics.gauge(
                "stanchion_admission_queued",
                "Requests that wait for their turn.",
            ),
            arriving: metrics.gauge(
                "stanchion_admission_arriving",
                "Requests that were let in and whose bodies have yet to arrive.",
            ),
            keys: metrics.gauge_family(
                "stanchion_admission_rate_keys",
                "Addresses and callers that the rate limits remember.",
            ),
        }
    }

    pub(super) fn asked(&self, priority: Priority, is_admitted: bool) {
        let counters = if is_admitted {
            &self.admitted
        } else {
            &self.shed
        };
        counters[priority as usize].inc();
    }

    pub(super) fn observe(&self, limit: &Adaptive, rates: &Rates) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.limit.set(i64::from(limit.limit()));
        self.running.set(i64::from(limit.running()));
        self.queued.set(number(limit.waiting()));
        let keys = |by, count| self.keys.get_or_create(&By { by }).set(number(count));
        if let Some(limited) = &rates.addresses {
            keys("address", limited.keys());
        }
        if let Some(limited) = &rates.callers {
            keys("caller", limited.keys());
        }
    }
}
