//! What a process knows of one module's log, shared by its appends, its readers and its units of work.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;
use stanchion_eventsourcing::{LogId, Position};
use tokio::sync::{Notify, watch};

use super::known::Known;
use super::names::Names;
use super::tail::Tail;
use crate::projector::Inlines;

/// See the module.
#[derive(Debug)]
pub(crate) struct LogState {
    /// The log's last position known here: a hint for whoever follows it.
    head: watch::Sender<Position>,
    pub(super) known: Mutex<Known>,
    pub(super) names: Mutex<Names>,
    pub(super) tail: Mutex<Tail>,
    /// A unit of work committed events: the committer tells other processes, once for all since it last did.
    pub(super) hint: Notify,
    pub(crate) counts: LogCounts,
    pub(crate) meters: OnceLock<LogMeters>,
    /// The log's identity, once it is open.
    pub(crate) id: OnceLock<LogId>,
    /// What is applied by the transactions that append.
    pub(crate) inline: Inlines,
}

/// What the log has done since it was opened.
#[derive(Debug, Default)]
pub(crate) struct LogCounts {
    /// Appends that wait now.
    pub(crate) queued: AtomicU64,
    /// Appends refused because too many waited, or for too long.
    pub(crate) shed: AtomicU64,
    /// Transactions with what was remembered, with a look under the lock, and refused ones that were repeated so.
    pub(crate) fast: AtomicU64,
    pub(crate) checked: AtomicU64,
    pub(crate) refused: AtomicU64,
    /// Appends that did not meet their expected version.
    pub(crate) conflicts: AtomicU64,
    /// Appends whose commit's outcome was unknown at first, and those whose callers were told so.
    pub(crate) in_doubt: AtomicU64,
    pub(crate) unknown: AtomicU64,
    /// Pages of readers served without SQL.
    pub(crate) handed_over: AtomicU64,
    /// Connections made anew.
    pub(crate) reconnected: AtomicU64,
}

/// How large and how long transactions are; there once metrics are registered.
#[derive(Debug)]
pub(crate) struct LogMeters {
    pub(crate) events: Histogram,
    pub(crate) seconds: Histogram,
}

impl Default for LogState {
    fn default() -> Self {
        Self {
            head: watch::Sender::new(Position::START),
            known: Mutex::default(),
            names: Mutex::default(),
            tail: Mutex::default(),
            hint: Notify::new(),
            counts: LogCounts::default(),
            meters: OnceLock::new(),
            id: OnceLock::new(),
            inline: Inlines::default(),
        }
    }
}

impl LogState {
    pub(crate) fn head(&self) -> &watch::Sender<Position> {
        &self.head
    }

    /// Tells local readers that the log grew.
    pub(crate) fn grew_to(&self, position: Position) {
        self.head.send_if_modified(|known| {
            let grew = *known < position;
            *known = (*known).max(position);
            grew
        });
    }

    /// A unit of work committed events: local readers and, by the committer, other processes are told.
    pub(crate) fn grew_beside(&self, position: Position) {
        self.grew_to(position);
        self.hint.notify_one();
    }

    pub(super) fn observe(&self, events: usize, took: Duration) {
        if let Some(meters) = self.meters.get() {
            meters.events.observe(events as f64);
            meters.seconds.observe(took.as_secs_f64());
        }
    }
}

impl LogCounts {
    pub(super) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}
