//! What is measured, under the label `broker="nats"`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use stanchion_messaging::adapter::{BrokerMeter, GroupGauge};
use stanchion_telemetry::Metrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Broker {
    broker: &'static str,
}

const BROKER: &str = "nats";

pub(crate) struct NatsMetrics {
    pub(crate) confirmed: Counter,
    pub(crate) duplicate: Counter,
    pub(crate) unconfirmed: Counter,
    pub(crate) refused: Counter,
    pub(crate) delivered: Counter,
    pub(crate) redelivered: Counter,
    pub(crate) undecodable: Counter,
    pub(crate) confirm_seconds: Histogram,
    pub(crate) connected: Gauge,
    pub(crate) connections: Counter,
    held: GroupGauge,
    pending: GroupGauge,
}

/// How one subscription stands.
#[derive(Clone, Debug)]
pub(crate) struct GroupMetrics {
    pub(crate) held: Gauge,
    pub(crate) pending: Gauge,
}

impl NatsMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let meter = BrokerMeter::new(BROKER, metrics);
        let seconds = metrics.histogram_family::<Broker>(
            "stanchion_broker_confirm_seconds",
            "How long the broker took to confirm a message.",
            || Histogram::new(exponential_buckets(0.0001, 2.0, 16)),
        );
        let seconds = seconds.get_or_create(&Broker { broker: BROKER });
        NatsMetrics {
            confirmed: meter.messages("confirmed"),
            duplicate: meter.messages("duplicate"),
            unconfirmed: meter.messages("unconfirmed"),
            refused: meter.messages("refused"),
            delivered: meter.messages("delivered"),
            redelivered: meter.messages("redelivered"),
            undecodable: meter.messages("undecodable"),
            confirm_seconds: seconds.clone(),
            connected: meter.gauge(
                "stanchion_broker_connected",
                "1 while connected to the broker.",
            ),
            connections: meter.connections(),
            held: meter.held(),
            pending: meter.of_groups(
                "stanchion_broker_pending",
                "Messages a group has yet to be given, as its last messages here told.",
            ),
        }
    }

    pub(crate) fn group(&self, name: &str) -> GroupMetrics {
        GroupMetrics {
            held: self.held.of(name),
            pending: self.pending.of(name),
        }
    }
}
