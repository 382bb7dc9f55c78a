use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

/// What a histogram family makes its members with.
pub type Buckets = fn() -> Histogram;

/// Sets gauges, when the metrics are about to be read.
type Observe = Arc<dyn Fn() + Send + Sync>;

/// A set of labels.
pub trait Labels: EncodeLabelSet + Clone + Hash + Eq + fmt::Debug + Send + Sync + 'static {}

impl<T: EncodeLabelSet + Clone + Hash + Eq + fmt::Debug + Send + Sync + 'static> Labels for T {}

/// The metrics of a process, or of a test: its own registry, cheap to clone.
///
/// A name that is registered already gives the metric that has it, so a thing can be made twice. One that
/// belongs to another type of metric gives a metric that is never shown, and an error in the log.
#[derive(Clone, Default)]
pub struct Metrics {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    registry: Registry,
    known: HashMap<String, Box<dyn std::any::Any + Send + Sync>>,
    /// What is called before the metrics are read, by name.
    observers: HashMap<String, Observe>,
}

impl Metrics {
    /// What [`encode`](Self::encode) is.
    pub const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// A counter; its name ends in `_total`.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.registered(name, total(name), help, Counter::default)
    }

    /// A counter with labels.
    pub fn counter_family<L: Labels>(&self, name: &str, help: &str) -> Family<L, Counter> {
        self.registered(name, total(name), help, Family::default)
    }

    /// A number that goes up and down.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.registered(name, name, help, Gauge::default)
    }

    /// A number that goes up and down, with labels.
    pub fn gauge_family<L: Labels>(&self, name: &str, help: &str) -> Family<L, Gauge> {
        self.registered(name, name, help, Family::default)
    }

    /// Calls `observe` with what is `watched` each time before the metrics are read: for gauges of what costs something to
    /// count, which are set then and at no other time.
    ///
    /// Of two of one name the later one is called. The metrics keep nothing alive: once what is watched is gone, nothing is
    /// called.
    pub fn when_read<T: Send + Sync + 'static>(
        &self,
        name: &str,
        watched: Weak<T>,
        observe: impl Fn(&T) + Send + Sync + 'static,
    ) {
        let observe = move || {
            if let Some(watched) = watched.upgrade() {
                observe(&watched);
            }
        };
        let mut inner = self.inner.lock();
        inner.observers.insert(name.to_owned(), Arc::new(observe));
    }

    /// How values are distributed over the buckets `buckets` makes.
    pub fn histogram(&self, name: &str, help: &str, buckets: Buckets) -> Histogram {
        self.registered(name, name, help, buckets)
    }

    /// The same with labels.
    pub fn histogram_family<L: Labels>(
        &self,
        name: &str,
        help: &str,
        buckets: Buckets,
    ) -> Family<L, Histogram, Buckets> {
        self.registered(name, name, help, || Family::new_with_constructor(buckets))
    }

    /// Every metric as OpenMetrics text.
    #[must_use]
    pub fn encode(&self) -> String {
        // Without the lock: whoever is called may make a metric of its own.
        let observers: Vec<_> = self.inner.lock().observers.values().cloned().collect();
        observers.iter().for_each(|observe| observe());
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.inner.lock().registry);
        text
    }

    /// The metric of that name and type, made and registered at the first call.
    fn registered<M: Metric + Clone + Send + Sync + 'static>(
        &self,
        name: &str,
        stem: &str,
        help: &str,
        make: impl FnOnce() -> M,
    ) -> M {
        let mut inner = self.inner.lock();
        if let Some(known) = inner.known.get(name) {
            let Some(known) = known.downcast_ref::<M>() else {
                tracing::error!(name, "a metric of this name has another type");
                return make();
            };
            return known.clone();
        }
        let metric = make();
        // The registry adds the full stop by itself.
        let help = help.trim_end_matches('.');
        inner.registry.register(stem, help, metric.clone());
        let known = Box::new(metric.clone());
        inner.known.insert(name.to_owned(), known);
        metric
    }
}

/// The name of a counter without the ending that the registry adds by itself.
fn total(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
    struct Route {
        endpoint: String,
    }

    fn route(endpoint: &str) -> Route {
        Route {
            endpoint: endpoint.to_owned(),
        }
    }

    #[test]
    fn every_metric_is_found_under_the_name_it_was_given() {
        let metrics = Metrics::default();
        metrics.counter("orders_total", "Orders.").inc();
        metrics.gauge("streams_total", "Open streams.").set(3);
        let seconds = metrics.histogram("seconds", "Time.", || Histogram::new([0.5]));
        seconds.observe(0.25);
        let text = metrics.encode();
        assert!(
            text.contains("# HELP orders Orders.\n# TYPE orders counter\norders_total 1\n"),
            "{text}"
        );
        assert!(text.contains("\nstreams_total 3\n"), "{text}");
        assert!(text.contains("\nseconds_bucket{le=\"0.5\"} 1\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn a_metric_made_twice_is_one() {
        let metrics = Metrics::default();
        let made = || metrics.counter_family::<Route>("requests_total", "Requests.");
        made().get_or_create(&route("/a")).inc();
        made().get_or_create(&route("/a")).inc();
        let text = metrics.clone().encode();
        assert!(
            text.contains("requests_total{endpoint=\"/a\"} 2\n"),
            "{text}"
        );
        assert_eq!(text.matches("# TYPE").count(), 1);
    }

    #[test]
    fn what_costs_something_to_count_is_counted_when_the_metrics_are_read_and_only_then() {
        let (metrics, counted) = (Metrics::default(), Arc::new(AtomicI64::new(0)));
        let watched = || Arc::downgrade(&counted);
        metrics.when_read("keys", watched(), |_| panic!("there is a later one"));
        let others = metrics.clone();
        metrics.when_read("keys", watched(), move |counts| {
            let times = counts.fetch_add(1, Ordering::Relaxed) + 1;
            others.gauge("keys", "Keys.").set(times);
        });
        assert_eq!(counted.load(Ordering::Relaxed), 0);
        for nth in 1..=2 {
            let text = metrics.encode();
            assert!(text.contains(&format!("\nkeys {nth}\n")), "{text}");
        }
        assert_eq!(counted.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn what_is_watched_is_not_kept_alive_for_it() {
        let (metrics, watched) = (Metrics::default(), Arc::new(()));
        metrics.when_read("gone", Arc::downgrade(&watched), |()| panic!("it is gone"));
        assert_eq!(Arc::strong_count(&watched), 1);
        drop(watched);
        assert_eq!(metrics.encode(), "# EOF\n");
    }

    #[test]
    fn a_name_of_another_type_is_not_shown_twice() {
        let metrics = Metrics::default();
        metrics.gauge("orders", "Orders.").set(1);
        metrics
            .gauge_family::<Route>("orders", "Orders.")
            .get_or_create(&route("/"))
            .set(2);
        let text = metrics.encode();
        assert!(
            text.contains("\norders 1\n") && !text.contains("orders{"),
            "{text}"
        );
    }

    #[test]
    fn a_label_cannot_break_out_of_its_line() {
        let metrics = Metrics::default();
        let family = metrics.gauge_family::<Route>("routes", "Routes.");
        family.get_or_create(&route("\"} 1\nforged 1")).set(1);
        let text = metrics.encode();
        assert!(
            !text.lines().any(|line| line.starts_with("forged")),
            "{text}"
        );
    }
}
