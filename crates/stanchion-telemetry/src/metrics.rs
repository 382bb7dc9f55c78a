use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

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

/// A set of labels.
pub trait Labels: EncodeLabelSet + Clone + Hash + Eq + fmt::Debug + Send + Sync + 'static {}

impl<T: EncodeLabelSet + Clone + Hash + Eq + fmt::Debug + Send + Sync + 'static> Labels for T {}

/// The metrics of a process, or of a test: its own registry, cheap to clone.
///
/// A name that is registered already gives the metric that has it, so a thing can be made twice.
#[derive(Clone, Default)]
pub struct Metrics {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    registry: Registry,
    known: HashMap<String, Box<dyn std::any::Any + Send + Sync>>,
}

impl Metrics {
    /// What [`encode`](Self::encode) is.
    pub const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// A counter; its name ends in `_total`.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.registered(name, help, Counter::default)
    }

    /// A counter with labels.
    pub fn counter_family<L: Labels>(&self, name: &str, help: &str) -> Family<L, Counter> {
        self.registered(name, help, Family::default)
    }

    /// A number that goes up and down.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.registered(name, help, Gauge::default)
    }

    /// A number that goes up and down, with labels.
    pub fn gauge_family<L: Labels>(&self, name: &str, help: &str) -> Family<L, Gauge> {
        self.registered(name, help, Family::default)
    }

    /// How values are distributed over the buckets `buckets` makes.
    pub fn histogram(&self, name: &str, help: &str, buckets: Buckets) -> Histogram {
        self.registered(name, help, buckets)
    }

    /// The same with labels.
    pub fn histogram_family<L: Labels>(
        &self,
        name: &str,
        help: &str,
        buckets: Buckets,
    ) -> Family<L, Histogram, Buckets> {
        self.registered(name, help, || Family::new_with_constructor(buckets))
    }

    /// Every metric as OpenMetrics text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.inner.lock().registry);
        text
    }

    /// The metric of that name and type, made and registered at the first call.
    fn registered<M: Metric + Clone + Send + Sync + 'static>(
        &self,
        name: &str,
        help: &str,
        make: impl FnOnce() -> M,
    ) -> M {
        let mut inner = self.inner.lock();
        let known = inner
            .known
            .get(name)
            .and_then(|metric| metric.downcast_ref::<M>());
        if let Some(metric) = known {
            return metric.clone();
        }
        let metric = make();
        // The registry adds `_total` and the full stop by itself.
        let bare = name.strip_suffix("_total").unwrap_or(name);
        inner
            .registry
            .register(bare, help.trim_end_matches('.'), metric.clone());
        inner
            .known
            .insert(name.to_owned(), Box::new(metric.clone()));
        metric
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_under_the_name_it_was_given() {
        let metrics = Metrics::default();
        metrics.counter("orders_total", "Orders.").inc();
        metrics.counter("orders_total", "Orders.").inc();
        assert!(
            metrics.encode().contains("orders_total 2"),
            "{}",
            metrics.encode()
        );
    }
}
