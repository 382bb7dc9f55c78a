//! The figures of single parts as gauges: each bound beside what it bounds. A [`Policy`](crate::policy::Policy) has its
//! own metrics.

use prometheus_client::encoding::EncodeLabelSet;
use stanchion_telemetry::Metrics;

use crate::adaptive::Adaptive;
use crate::bulkhead::Bulkhead;
use crate::codel::CodelGate;
use crate::pool::Pool;
use crate::rate::KeyedRate;
use crate::single_flight::{FLIGHTS_MAX, SingleFlight};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    name: String,
}

fn set(metrics: &Metrics, name: &str, gauges: [(&str, &str, usize); 4]) {
    for (gauge, help, value) in gauges.into_iter().filter(|(gauge, ..)| !gauge.is_empty()) {
        let name = name.to_owned();
        let family = metrics.gauge_family(gauge, help);
        family
            .get_or_create(&Named { name })
            .set(i64::try_from(value).unwrap_or(i64::MAX));
    }
}

const NONE: (&str, &str, usize) = ("", "", 0);

/// Running, waiting, and the bounds of both.
fn set_limit(metrics: &Metrics, name: &str, [running, waiting, limit, waiting_max]: [usize; 4]) {
    set(
        metrics,
        name,
        [
            ("limit_running", "Calls in a place under a limit.", running),
            ("limit_waiting", "Calls that wait for one.", waiting),
            ("limit_places", "Places there are.", limit),
            ("limit_waiting_max", "Calls that may wait.", waiting_max),
        ],
    );
}

impl Bulkhead {
    /// Writes its figures into gauges with the label `name`, which comes from the program; call it before metrics are
    /// read.
    pub fn observe(&self, name: &str, metrics: &Metrics) {
        let bounds = self.settings();
        let figures = [self.running(), self.waiting(), bounds.slots, bounds.queue];
        set_limit(metrics, name, figures.map(|figure| figure as usize));
    }
}

impl Adaptive {
    /// Writes its figures into gauges with the label `name`, which comes from the program; call it before metrics are
    /// read.
    pub fn observe(&self, name: &str, metrics: &Metrics) {
        let (running, limit) = (self.running() as usize, self.limit() as usize);
        set_limit(metrics, name, [running, self.waiting(), limit, limit]);
    }
}

impl CodelGate {
    /// Writes its figures into gauges with the label `name`, which comes from the program; call it before metrics are
    /// read.
    pub fn observe(&self, name: &str, metrics: &Metrics) {
        self.limit().observe(name, metrics);
    }
}

impl Pool {
    /// Writes its figures into gauges with its name as the label `name`; call it before metrics are read.
    pub fn observe(&self, metrics: &Metrics) {
        let bounds = self.settings();
        let gauges = [
            ("pool_running", "Jobs being run.", self.running()),
            ("pool_waiting", "Jobs that wait.", self.waiting()),
            (
                "pool_workers",
                "Jobs that may run.",
                bounds.workers as usize,
            ),
            (
                "pool_waiting_max",
                "Jobs that may wait.",
                bounds.queue as usize,
            ),
        ];
        set(metrics, self.name(), gauges);
    }
}

impl<K: std::hash::Hash + Eq> KeyedRate<K> {
    /// Writes its figures into gauges with the label `name`, which comes from the program; call it before metrics are
    /// read.
    pub fn observe(&self, name: &str, metrics: &Metrics) {
        let gauges = [
            ("rate_keys", "Keys a rate limit remembers.", self.keys()),
            ("rate_keys_max", "Keys it can remember.", self.keys_max()),
            NONE,
            NONE,
        ];
        set(metrics, name, gauges);
    }
}

impl<K, V, E> SingleFlight<K, V, E>
where
    K: std::hash::Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// Writes its figures into gauges with the label `name`, which comes from the program; call it before metrics are
    /// read.
    pub fn observe(&self, name: &str, metrics: &Metrics) {
        let gauges = [
            ("single_flight_keys", "Keys in flight.", self.len()),
            ("single_flight_keys_max", "Keys that may be.", FLIGHTS_MAX),
            NONE,
            NONE,
        ];
        set(metrics, name, gauges);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Moment;
    use crate::adaptive::AdaptiveSettings;
    use crate::bulkhead::BulkheadSettings;
    use crate::codel::CodelGateSettings;
    use crate::pool::PoolSettings;
    use crate::rate::RateSettings;

    #[tokio::test(start_paused = true)]
    async fn each_bound_stands_beside_what_it_bounds() {
        let metrics = Metrics::default();
        let bulkhead = Bulkhead::new(&BulkheadSettings::default());
        let _slot = bulkhead.try_enter().unwrap();
        bulkhead.observe("bank", &metrics);
        Adaptive::new(&AdaptiveSettings::default()).observe("server", &metrics);
        CodelGate::new(&CodelGateSettings::default()).observe("gate", &metrics);
        Pool::new("mails", &PoolSettings::default()).observe(&metrics);
        let rate = KeyedRate::<String>::new(&RateSettings::default());
        rate.check("ann", Moment::START, 1).unwrap();
        rate.observe("login", &metrics);
        SingleFlight::<u8, u8, ()>::default().observe("prices", &metrics);
        let text = metrics.encode();
        for line in [
            "limit_running{name=\"bank\"} 1",
            "limit_places{name=\"bank\"} 25",
            "limit_waiting_max{name=\"bank\"} 25",
            "limit_places{name=\"server\"} 20",
            "limit_places{name=\"gate\"} 25",
            "pool_workers{name=\"mails\"} 4",
            "pool_waiting_max{name=\"mails\"} 64",
            "rate_keys{name=\"login\"} 1",
            "rate_keys_max{name=\"login\"} 100032",
            "single_flight_keys_max{name=\"prices\"} 10000",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
