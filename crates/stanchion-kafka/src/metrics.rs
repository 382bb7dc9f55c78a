//! What is measured, alike for every broker.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use stanchion_messaging::adapter::{BrokerMeter, GroupGauge};
use stanchion_telemetry::Metrics;

/// What all connections of a process count in.
#[derive(Debug, Clone)]
pub(crate) struct BrokerMetrics {
    pub(crate) confirmed: Counter,
    pub(crate) unconfirmed: Counter,
    pub(crate) refused: Counter,
    pub(crate) delivered: Counter,
    pub(crate) undecodable: Counter,
    pub(crate) connects: Counter,
    held: GroupGauge,
    held_max: GroupGauge,
}

/// Those of one group.
#[derive(Debug, Clone)]
pub(crate) struct GroupMetrics {
    pub(crate) held: Gauge,
    pub(crate) held_max: Gauge,
}

impl BrokerMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let meter = BrokerMeter::new("kafka", metrics);
        Self {
            confirmed: meter.messages("confirmed"),
            unconfirmed: meter.messages("unconfirmed"),
            refused: meter.messages("refused"),
            delivered: meter.messages("delivered"),
            undecodable: meter.messages("undecodable"),
            connects: meter.connections(),
            held: meter.held(),
            held_max: meter.of_groups(
                "stanchion_broker_prefetch",
                "Messages a group's member can hold.",
            ),
        }
    }

    pub(crate) fn group(&self, group: &str) -> GroupMetrics {
        GroupMetrics {
            held: self.held.of(group),
            held_max: self.held_max.of(group),
        }
    }
}
