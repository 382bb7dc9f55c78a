//! What came of it all.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// So many failures of a lane are told in words.
const TOLD_MAX: usize = 10;

/// What happened on one lane.
pub(crate) struct Tally {
    name: &'static str,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    sent: u64,
    good: u64,
    /// Never sent where they were to be sent first: the connection had said that it was over.
    moved: u64,
    /// On connections that were reset before they had answered anything: nobody had accepted them.
    unaccepted: u64,
    /// Ended by the service with its word for it: streams with `UNAVAILABLE`, waits as things stood.
    ended: u64,
    failed: u64,
    told: Vec<String>,
    took: Vec<Duration>,
}

/// What a client did on the way to an answer.
#[derive(Default)]
pub(crate) struct Way {
    pub(crate) moved: u64,
    pub(crate) unaccepted: u64,
}

/// How something ended that is no failure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Good {
    Answered,
    /// Early, as the stop has it.
    Ended,
}

impl Tally {
    pub(crate) fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            name,
            counts: Mutex::default(),
        })
    }

    /// One thing that was due at `due` has ended; `due` is none for what lasts as long as it pleases.
    pub(crate) fn note(&self, due: Option<Instant>, way: &Way, outcome: Result<Good, String>) {
        let mut counts = self.counts.lock();
        counts.sent += 1;
        counts.moved += way.moved;
        counts.unaccepted += way.unaccepted;
        match outcome {
            Ok(Good::Answered) => counts.good += 1,
            Ok(Good::Ended) => counts.ended += 1,
            Err(reason) => {
                counts.failed += 1;
                if counts.told.len() < TOLD_MAX {
                    counts.told.push(reason);
                }
            }
        }
        counts.took.extend(due.map(|due| due.elapsed()));
    }

    pub(crate) fn failed(&self) -> u64 {
        self.counts.lock().failed
    }
}

/// All lanes, and below them what went wrong.
pub(crate) fn table(lanes: &[Arc<Tally>]) -> String {
    let mut table = format!(
        "{:<18} {:>8} {:>8} {:>7} {:>7} {:>11} {:>8} {:>8} {:>8} {:>7}",
        "",
        "begun",
        "answered",
        "ended",
        "moved",
        "unaccepted",
        "p50 ms",
        "p99 ms",
        "max ms",
        "failed"
    );
    let mut told = String::new();
    for lane in lanes {
        let mut counts = lane.counts.lock();
        counts.took.sort_unstable();
        let took = |share: f64| {
            let last = counts.took.len().checked_sub(1)?;
            let nth = (last as f64 * share).round() as usize;
            Some(format!("{:.1}", counts.took[nth].as_secs_f64() * 1e3))
        };
        let took = [0.5, 0.99, 1.0].map(|share| took(share).unwrap_or_else(|| "-".into()));
        let [p50, p99, max] = took;
        let Counts {
            sent,
            good,
            moved,
            unaccepted,
            ended,
            failed,
            ..
        } = &*counts;
        let _ = write!(
            table,
            "\n{:<18} {sent:>8} {good:>8} {ended:>7} {moved:>7} {unaccepted:>11} {p50:>8} {p99:>8} {max:>8} {failed:>7}",
            lane.name
        );
        for reason in &counts.told {
            let _ = write!(told, "\n  {}: {reason}", lane.name);
        }
    }
    table + &told
}
