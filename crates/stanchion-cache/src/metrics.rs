//! What is measured, under the label `cache`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use stanchion_telemetry::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    cache: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    cache: String,
}

#[derive(Debug)]
pub(crate) struct CacheMetrics {
    pub(crate) local: Counter,
    pub(crate) remote: Counter,
    pub(crate) loaded: Counter,
    pub(crate) stale: Counter,
    pub(crate) failed: Counter,
    pub(crate) refreshes: Counter,
    pub(crate) outdated: Counter,
    pub(crate) bypassed: Counter,
    pub(crate) lost: Counter,
    pub(crate) entries: Gauge,
    pub(crate) entries_max: Gauge,
    pub(crate) owed: Gauge,
    pub(crate) owed_max: Gauge,
    pub(crate) blind: Gauge,
}

impl CacheMetrics {
    pub(crate) fn new(metrics: &Metrics, cache: &str) -> Self {
        let name = || Name {
            cache: cache.to_owned(),
        };
        let lookups = metrics.counter_family(
            "cache_lookups_total",
            "Lookups by what answered: this process, the remote tier, the loader, an entry beyond its time; or nothing.",
        );
        let lookups = |outcome| {
            let cache = cache.to_owned();
            lookups.get_or_create(&Outcome { cache, outcome }).clone()
        };
        let counter = |metric: &str, help: &str| {
            let family = metrics.counter_family(metric, help);
            family.get_or_create(&name()).clone()
        };
        let gauge = |metric: &str, help: &str| {
            let family = metrics.gauge_family(metric, help);
            family.get_or_create(&name()).clone()
        };
        CacheMetrics {
            local: lookups("local"),
            remote: lookups("remote"),
            loaded: lookups("loaded"),
            stale: lookups("stale"),
            failed: lookups("failed"),
            refreshes: counter(
                "cache_refreshes_total",
                "Loads begun before an entry's end.",
            ),
            outdated: counter(
                "cache_outdated_total",
                "Loaded values that were not kept: something newer was there, or an invalidation came in between.",
            ),
            bypassed: counter(
                "cache_remote_bypassed_total",
                "Operations that went without the remote tier: it was out.",
            ),
            lost: counter(
                "cache_invalidations_lost_total",
                "Invalidations beyond those that can be owed to the remote tier.",
            ),
            entries: gauge("cache_entries", "Entries in this process."),
            entries_max: gauge("cache_entries_max", "Entries this process may have."),
            owed: gauge(
                "cache_invalidations_owed",
                "Invalidations the remote tier has not heard of.",
            ),
            owed_max: gauge(
                "cache_invalidations_owed_max",
                "Invalidations that can be owed.",
            ),
            blind: gauge(
                "cache_blind",
                "1 while the remote tier does not tell what others change.",
            ),
        }
    }
}
