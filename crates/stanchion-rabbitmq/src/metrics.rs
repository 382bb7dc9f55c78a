//! What is measured, alike for every broker.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use stanchion_telemetry::Metrics;

const BROKER: &str = "rabbitmq";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    broker: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Group {
    broker: &'static str,
    group: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Broker {
    broker: &'static str,
}

/// What all connections of a process count in.
#[derive(Debug, Clone)]
pub(crate) struct BrokerMetrics {
    pub(crate) confirmed: Counter,
    pub(crate) unconfirmed: Counter,
    pub(crate) refused: Counter,
    pub(crate) overflowed: Counter,
    pub(crate) delivered: Counter,
    pub(crate) redelivered: Counter,
    pub(crate) undecodable: Counter,
    pub(crate) connects: Counter,
    held: Family<Group, Gauge>,
    held_max: Family<Group, Gauge>,
    waiting: Family<Group, Gauge>,
    pub(crate) dead: Gauge,
}

/// Those of one group.
#[derive(Debug, Clone)]
pub(crate) struct GroupMetrics {
    pub(crate) held: Gauge,
    pub(crate) held_max: Gauge,
    pub(crate) waiting: Gauge,
}

impl BrokerMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let messages = metrics.counter_family(
            "stanchion_broker_messages_total",
            "Messages to and from a broker, by what became of them.",
        );
        let messages = |outcome| {
            let broker = BROKER;
            messages.get_or_create(&Outcome { broker, outcome }).clone()
        };
        let connects = metrics.counter_family(
            "stanchion_broker_connections_total",
            "Connections made to a broker.",
        );
        let dead = metrics.gauge_family(
            "stanchion_broker_dead_letters",
            "Messages that the broker itself has put aside.",
        );
        let broker = Broker { broker: BROKER };
        Self {
            confirmed: messages("confirmed"),
            unconfirmed: messages("unconfirmed"),
            refused: messages("refused"),
            overflowed: messages("overflowed"),
            delivered: messages("delivered"),
            redelivered: messages("redelivered"),
            undecodable: messages("undecodable"),
            connects: connects.get_or_create(&broker).clone(),
            held: metrics.gauge_family(
                "stanchion_broker_held",
                "Messages a group's member holds without having acknowledged them.",
            ),
            held_max: metrics.gauge_family(
                "stanchion_broker_prefetch",
                "Messages a group's member can hold.",
            ),
            waiting: metrics.gauge_family(
                "stanchion_broker_waiting",
                "Messages that wait in a group's queues, when a member last looked.",
            ),
            dead: dead.get_or_create(&broker).clone(),
        }
    }

    pub(crate) fn group(&self, group: &str) -> GroupMetrics {
        let of = |family: &Family<Group, Gauge>| {
            let (broker, group) = (BROKER, group.to_owned());
            family.get_or_create(&Group { broker, group }).clone()
        };
        GroupMetrics {
            held: of(&self.held),
            held_max: of(&self.held_max),
            waiting: of(&self.waiting),
        }
    }
}
