use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use stanchion_telemetry::Metrics;

use super::Consumer;
use crate::ParkedState;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    consumer: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct State {
    consumer: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Whose {
    consumer: &'static str,
}

/// What became of messages, what is parked, what is missing.
pub(super) struct ConsumerMetrics {
    consumer: &'static str,
    messages: Family<Outcome, Counter>,
    parked: Family<State, Gauge>,
    holes: Family<Whose, Gauge>,
    taken: Gauge,
    taken_bytes: Gauge,
}

impl ConsumerMetrics {
    pub(super) fn new(consumer: &'static str, metrics: &Metrics) -> Self {
        let of_consumer = |name, help| {
            let gauges = metrics.gauge_family::<Whose>(name, help);
            gauges.get_or_create(&Whose { consumer }).clone()
        };
        Self {
            taken: of_consumer(
                "stanchion_consumer_taken",
                "Messages that were taken up and are not dealt with, by consumer.",
            ),
            taken_bytes: of_consumer(
                "stanchion_consumer_taken_bytes",
                "Memory that these messages take, about, by consumer.",
            ),
            consumer,
            messages: metrics.counter_family(
                "stanchion_consumer_messages_total",
                "Messages by consumer and what became of them.",
            ),
            parked: metrics.gauge_family(
                "stanchion_consumer_parked",
                "Messages put aside, by consumer and state.",
            ),
            holes: metrics.gauge_family(
                "stanchion_consumer_holes",
                "Lines of announcements that something is missing of, by consumer.",
            ),
        }
    }
}

impl Consumer {
    pub(super) fn count(&self, outcome: &'static str) {
        if let Some(metrics) = &self.metrics {
            let consumer = metrics.consumer;
            let labels = Outcome { consumer, outcome };
            metrics.messages.get_or_create(&labels).inc();
        }
    }

    pub(super) fn show_holes(&self, holes: usize) {
        if let Some(metrics) = &self.metrics {
            let consumer = metrics.consumer;
            let holes_now = metrics.holes.get_or_create(&Whose { consumer });
            holes_now.set(holes as i64);
        }
    }

    /// So many messages are taken up, and so many bytes.
    pub(super) fn show_taken(&self, (messages, bytes): (usize, usize)) {
        if let Some(metrics) = &self.metrics {
            metrics.taken.set(messages as i64);
            metrics.taken_bytes.set(bytes as i64);
        }
    }

    /// Counts what is parked.
    pub(super) async fn show_parked(&self) -> Result<(), String> {
        let Some(metrics) = &self.metrics else {
            return Ok(());
        };
        let counts = self.store.counts(self.name).await;
        let counts = counts.map_err(|error| error.to_string())?;
        for (state, name) in [
            (ParkedState::Retry, "retry"),
            (ParkedState::Dead, "dead"),
            (ParkedState::Unknown, "unknown"),
        ] {
            let count = counts.iter().find(|it| it.0 == state).map_or(0, |it| it.1);
            let labels = State {
                consumer: metrics.consumer,
                state: name,
            };
            let now = i64::try_from(count).unwrap_or(i64::MAX);
            metrics.parked.get_or_create(&labels).set(now);
        }
        Ok(())
    }
}
