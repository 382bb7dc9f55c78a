use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use stanchion_telemetry::Metrics;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Context {
    context: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    context: String,
    outcome: &'static str,
}

/// What a relay does, by context.
#[derive(Clone)]
pub(super) struct RelayMetrics {
    context: String,
    messages: Family<Outcome, Counter>,
    positions: Family<Context, Gauge>,
    seconds: Family<Context, Gauge>,
    waiting: Family<Context, Gauge>,
    bytes: Family<Context, Gauge>,
    held: Family<Context, Gauge>,
    aside: Family<Context, Gauge>,
}

impl RelayMetrics {
    pub(super) fn new(context: &str, metrics: &Metrics) -> Self {
        Self {
            context: context.to_owned(),
            messages: metrics.counter_family(
                "stanchion_relay_messages_total",
                "Messages by announcing context and what became of them: confirmed, refused (tried again), overflowed (a group had no room), aside (the broker takes it never), \
                 repeated, beacon.",
            ),
            positions: metrics.gauge_family(
                "stanchion_relay_lag_positions",
                "Log entries that are not announced yet.",
            ),
            seconds: metrics.gauge_family(
                "stanchion_relay_lag_seconds",
                "Age of the oldest log entry that is not announced yet.",
            ),
            waiting: metrics.gauge_family(
                "stanchion_relay_waiting",
                "Messages that were read and wait for the broker's confirmation.",
            ),
            bytes: metrics.gauge_family(
                "stanchion_relay_waiting_bytes",
                "Memory that the messages take which wait for the broker's confirmation, about.",
            ),
            held: metrics.gauge_family(
                "stanchion_relay_lease",
                "Whether this process holds the relay's lease.",
            ),
            aside: metrics.gauge_family(
                "stanchion_relay_dead_letters",
                "Messages that the broker takes never and that wait for an operator.",
            ),
        }
    }

    pub(super) fn count(&self, outcome: &'static str) {
        let context = self.context.clone();
        self.messages
            .get_or_create(&Outcome { context, outcome })
            .inc();
    }

    pub(super) fn lag(&self, positions: i64, seconds: i64, waiting: usize, bytes: usize) {
        let context = self.label();
        self.positions.get_or_create(&context).set(positions);
        self.seconds.get_or_create(&context).set(seconds);
        self.waiting.get_or_create(&context).set(waiting as i64);
        self.bytes.get_or_create(&context).set(bytes as i64);
    }

    pub(super) fn held(&self, held: bool) {
        self.held.get_or_create(&self.label()).set(held.into());
    }

    pub(super) fn aside(&self, letters: u64) {
        let letters = i64::try_from(letters).unwrap_or(i64::MAX);
        self.aside.get_or_create(&self.label()).set(letters);
    }

    fn label(&self) -> Context {
        Context {
            context: self.context.clone(),
        }
    }
}
