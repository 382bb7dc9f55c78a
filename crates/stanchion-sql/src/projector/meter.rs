use std::sync::atomic::{AtomicI64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use stanchion_eventsourcing::{ProjectionState, Recorded};
use stanchion_runtime::clock;
use stanchion_telemetry::Metrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    module: String,
    projection: &'static str,
}

/// A projection's metrics.
pub(super) struct Meter {
    lag: Gauge,
    lag_seconds: Gauge,
    halted: Gauge,
    paused: Gauge,
    parked: Gauge,
    batch: Gauge,
    applied: Counter,
    /// When the last applied entry was recorded, in seconds since 1970; 0 before the first.
    last: AtomicI64,
}

impl Meter {
    pub(super) fn new(metrics: &Metrics, module: &str, projection: &'static str) -> Self {
        let labels = Labels {
            module: module.to_owned(),
            projection,
        };
        let gauge = |name, help| {
            let family = metrics.gauge_family::<Labels>(name, help);
            family.get_or_create(&labels).clone()
        };
        let applied = "Entries of the log that were applied to the rows";
        let applied =
            metrics.counter_family::<Labels>("stanchion_projection_applied_total", applied);
        Self {
            lag: gauge(
                "stanchion_projection_lag",
                "Positions of the log that are not in the rows yet",
            ),
            lag_seconds: gauge(
                "stanchion_projection_lag_seconds",
                "How long the oldest entry that is not in the rows yet has been in the log",
            ),
            halted: gauge(
                "stanchion_projection_halted",
                "1 while it stands before an entry or a log that it cannot go on with",
            ),
            paused: gauge(
                "stanchion_projection_paused",
                "1 while an operator has paused it",
            ),
            parked: gauge("stanchion_projection_parked", "Entries that were put aside"),
            batch: gauge(
                "stanchion_projection_batch",
                "Entries in the last batch; at most 10,000",
            ),
            applied: applied.get_or_create(&labels).clone(),
            last: AtomicI64::new(0),
        }
    }

    pub(super) fn applied(&self, entries: &[Recorded], parked: usize) {
        self.batch
            .set(i64::try_from(entries.len()).unwrap_or(i64::MAX));
        self.applied.inc_by(entries.len() as u64);
        if let Some(last) = entries.last() {
            self.last.store(last.at.as_second(), Ordering::Relaxed);
        }
        self.parked(parked);
    }

    /// How old the last applied entry is: so far behind is what comes after it, at most.
    pub(super) fn seconds(&self) -> i64 {
        match self.last.load(Ordering::Relaxed) {
            0 => 0,
            last => clock::now().as_second() - last,
        }
    }

    pub(super) fn parked(&self, parked: usize) {
        self.parked.set(i64::try_from(parked).unwrap_or(i64::MAX));
    }

    pub(super) fn lag(&self, positions: i64, seconds: i64) {
        self.lag.set(positions.max(0));
        self.lag_seconds.set(seconds.max(0));
    }

    pub(super) fn state(&self, state: ProjectionState) {
        self.halted.set((state == ProjectionState::Halted).into());
        self.paused.set((state == ProjectionState::Paused).into());
    }
}
