use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
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

/// What every broker's client measures, alike for all of them, under its label `broker`.
#[derive(Clone)]
pub struct BrokerMeter {
    broker: &'static str,
    metrics: Metrics,
    messages: Family<Outcome, Counter>,
}

impl BrokerMeter {
    /// Of the broker of that name.
    #[must_use]
    pub fn new(broker: &'static str, metrics: &Metrics) -> Self {
        let messages = metrics.counter_family(
            "stanchion_broker_messages_total",
            "Messages to and from a broker, by what became of them.",
        );
        Self {
            broker,
            metrics: metrics.clone(),
            messages,
        }
    }

    /// `stanchion_broker_messages_total` of that outcome, such as `confirmed`, `unconfirmed`, `refused`, `delivered`,
    /// `redelivered`, `undecodable`.
    #[must_use]
    pub fn messages(&self, outcome: &'static str) -> Counter {
        let broker = self.broker;
        let of = Outcome { broker, outcome };
        self.messages.get_or_create(&of).clone()
    }

    /// `stanchion_broker_connections_total`.
    #[must_use]
    pub fn connections(&self) -> Counter {
        let made = self.metrics.counter_family::<Broker>(
            "stanchion_broker_connections_total",
            "Connections made to a broker: more than one of a purpose is a reconnection.",
        );
        made.get_or_create(&self.label()).clone()
    }

    /// A gauge of that broker.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        let gauge = self.metrics.gauge_family::<Broker>(name, help);
        gauge.get_or_create(&self.label()).clone()
    }

    /// A gauge for each group of that broker.
    #[must_use]
    pub fn of_groups(&self, name: &str, help: &str) -> GroupGauge {
        GroupGauge {
            broker: self.broker,
            gauges: self.metrics.gauge_family(name, help),
        }
    }

    /// `stanchion_broker_held`.
    #[must_use]
    pub fn held(&self) -> GroupGauge {
        self.of_groups(
            "stanchion_broker_held",
            "Messages a group's member holds without having acknowledged them.",
        )
    }

    fn label(&self) -> Broker {
        let broker = self.broker;
        Broker { broker }
    }
}

/// A gauge for each group.
#[derive(Clone, Debug)]
pub struct GroupGauge {
    broker: &'static str,
    gauges: Family<OfGroup, Gauge>,
}

impl GroupGauge {
    /// That group's.
    #[must_use]
    pub fn of(&self, group: &str) -> Gauge {
        let (broker, group) = (self.broker, group.to_owned());
        self.gauges
            .get_or_create(&OfGroup { broker, group })
            .clone()
    }
}
