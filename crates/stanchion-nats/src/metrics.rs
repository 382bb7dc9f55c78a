//! What is measured, under the label `broker="nats"`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use stanchion_telemetry::Metrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    broker: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Broker {
    broker: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfGroup {
    broker: &'static str,
    group: String,
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
    held: Family<OfGroup, Gauge>,
    pending: Family<OfGroup, Gauge>,
}

/// How one subscription stands.
#[derive(Clone, Debug)]
pub(crate) struct GroupMetrics {
    pub(crate) held: Gauge,
    pub(crate) pending: Gauge,
}

impl NatsMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let messages = metrics.counter_family(
            "stanchion_broker_messages_total",
            "Messages to and from the broker, by what became of them.",
        );
        let messages = |outcome| {
            let broker = BROKER;
            messages.get_or_create(&Outcome { broker, outcome }).clone()
        };
        let broker = Broker { broker: BROKER };
        let seconds = metrics.histogram_family::<Broker>(
            "stanchion_broker_confirm_seconds",
            "How long the broker took to confirm a message.",
            || Histogram::new(exponential_buckets(0.0001, 2.0, 16)),
        );
        let connected = metrics.gauge_family::<Broker>(
            "stanchion_broker_connected",
            "1 while connected to the broker.",
        );
        let connections = metrics.counter_family::<Broker>(
            "stanchion_broker_connections_total",
            "Connections made to the broker: more than one is a reconnection.",
        );
        NatsMetrics {
            confirmed: messages("confirmed"),
            duplicate: messages("duplicate"),
            unconfirmed: messages("unconfirmed"),
            refused: messages("refused"),
            delivered: messages("delivered"),
            redelivered: messages("redelivered"),
            undecodable: messages("undecodable"),
            confirm_seconds: seconds.get_or_create(&broker).clone(),
            connected: connected.get_or_create(&broker).clone(),
            connections: connections.get_or_create(&broker).clone(),
            held: metrics.gauge_family(
                "stanchion_broker_held",
                "Messages of a group in this process, not acknowledged; at most one a partition.",
            ),
            pending: metrics.gauge_family(
                "stanchion_broker_pending",
                "Messages a group has yet to be given, as its last messages here told.",
            ),
        }
    }

    pub(crate) fn group(&self, name: &str) -> GroupMetrics {
        let of = OfGroup {
            broker: BROKER,
            group: name.to_owned(),
        };
        GroupMetrics {
            held: self.held.get_or_create(&of).clone(),
            pending: self.pending.get_or_create(&of).clone(),
        }
    }
}
