use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use stanchion_telemetry::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByIssuer {
    issuer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    issuer: String,
    outcome: &'static str,
}

/// What is counted of all issuers; the label's values are the pinned ones.
pub(super) struct IssuerMetrics {
    fetches: Family<Outcome, Counter>,
    unknown: Family<ByIssuer, Counter>,
    keys: Family<ByIssuer, Gauge<i64, AtomicI64>>,
    kids: Family<ByIssuer, Gauge<i64, AtomicI64>>,
}

/// The same of one.
pub(super) struct OfIssuer {
    pub(super) loaded: Counter,
    pub(super) failed: Counter,
    pub(super) unknown: Counter,
    pub(super) keys: Gauge<i64, AtomicI64>,
    pub(super) unknown_kids: Gauge<i64, AtomicI64>,
}

impl IssuerMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            fetches: metrics.counter_family(
                "stanchion_issuer_fetches_total",
                "Fetches of an issuer's keys, by what came of them.",
            ),
            unknown: metrics.counter_family(
                "stanchion_issuer_unknown_keys_total",
                "Tokens that name a key which their issuer is not known to have.",
            ),
            keys: metrics.gauge_family("stanchion_issuer_keys", "Keys that an issuer has."),
            kids: metrics.gauge_family(
                "stanchion_issuer_unknown_kids",
                "Names of keys that are not asked for again for a while.",
            ),
        }
    }

    pub(super) fn of(&self, iss: &str) -> OfIssuer {
        let issuer = ByIssuer {
            issuer: iss.to_owned(),
        };
        let fetches = |outcome| {
            let issuer = iss.to_owned();
            self.fetches
                .get_or_create(&Outcome { issuer, outcome })
                .clone()
        };
        OfIssuer {
            loaded: fetches("ok"),
            failed: fetches("failed"),
            unknown: self.unknown.get_or_create(&issuer).clone(),
            keys: self.keys.get_or_create(&issuer).clone(),
            unknown_kids: self.kids.get_or_create(&issuer).clone(),
        }
    }
}
