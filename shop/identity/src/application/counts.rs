//! What is counted of sessions.

use stanchion::telemetry::Metrics;
use stanchion::telemetry::prometheus_client::metrics::counter::Counter;
use stanchion::telemetry::prometheus_client::metrics::family::Family;
use stanchion::telemetry::prometheus_client::metrics::gauge::Gauge;

type Label = [(&'static str, &'static str); 1];

/// Counters and gauges of sessions; every label is of a fixed set.
#[derive(Clone)]
pub(crate) struct SessionCounts {
    refreshes: Family<Label, Counter>,
    reused: Counter,
    again: Counter,
    lookups: Family<Label, Counter>,
    remembered: Remembered,
    hearing: Gauge,
    uses_dropped: Counter,
}

/// How much a process remembers, and may.
#[derive(Clone)]
pub(crate) struct Remembered {
    counts: Family<Label, Gauge>,
    counts_max: Family<Label, Gauge>,
}

/// What a presented refresh token came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refreshed {
    Rotated,
    /// Answered with the same child within the overlap.
    Again,
    /// Used before: its family has ended with it.
    Reused,
    /// Its family had ended already, or its user is not active.
    Revoked,
    Expired,
    Unknown,
    /// The store is out, or the outcome is unknown.
    Failed,
}

/// Where it was known from who stands behind a session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Memory,
    Store,
}

impl SessionCounts {
    pub(crate) fn of(metrics: &Metrics) -> Self {
        let refreshes = "Refresh tokens that were presented, by what came of them.";
        let reused = "Sessions that were ended because a refresh token of theirs was used twice.";
        let again = "Refresh tokens that were answered with the same child within the overlap.";
        let lookups = "Access tokens whose session was looked up, by where.";
        let hearing = "1 while every session that ended anywhere was heard of within a second; at 0 the store is asked for each session every second.";
        let dropped = "Uses of sessions that were not noted because too many waited.";
        Self {
            refreshes: metrics.counter_family("shop_identity_refreshes_total", refreshes),
            reused: metrics.counter("shop_identity_families_reused_total", reused),
            again: metrics.counter("shop_identity_overlap_answers_total", again),
            lookups: metrics.counter_family("shop_identity_session_lookups_total", lookups),
            remembered: Remembered::of(metrics),
            hearing: metrics.gauge("shop_identity_hearing_revocations", hearing),
            uses_dropped: metrics.counter("shop_identity_session_uses_dropped_total", dropped),
        }
    }

    pub(crate) fn refreshed(&self, came_to: Refreshed) {
        let outcome = [("outcome", came_to.name())];
        self.refreshes.get_or_create(&outcome).inc();
        match came_to {
            Refreshed::Reused => drop(self.reused.inc()),
            Refreshed::Again => drop(self.again.inc()),
            _ => {}
        }
    }

    pub(crate) fn looked_up(&self, from: Source) {
        let from = match from {
            Source::Memory => "memory",
            Source::Store => "store",
        };
        self.lookups.get_or_create(&[("from", from)]).inc();
    }

    pub(crate) fn remembers(&self, what: &'static str, count: usize, max: usize) {
        self.remembered.are(what, count, max);
    }

    pub(crate) fn hears(&self, all: bool) {
        self.hearing.set(all.into());
    }

    pub(crate) fn use_dropped(&self) {
        self.uses_dropped.inc();
    }
}

impl Remembered {
    pub(crate) fn of(metrics: &Metrics) -> Self {
        let counts = "What this process remembers of what identity's store said (sessions, API keys, clients, void tokens), and signatures of tokens that held.";
        let counts_max = "The most of each that it remembers.";
        Self {
            counts: metrics.gauge_family("shop_identity_remembered", counts),
            counts_max: metrics.gauge_family("shop_identity_remembered_max", counts_max),
        }
    }

    pub(crate) fn are(&self, what: &'static str, count: usize, max: usize) {
        let what = [("what", what)];
        self.counts.get_or_create(&what).set(number(count));
        self.counts_max.get_or_create(&what).set(number(max));
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Refreshed {
    fn name(self) -> &'static str {
        match self {
            Self::Rotated => "rotated",
            Self::Again => "overlap",
            Self::Reused => "reused",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }
}
