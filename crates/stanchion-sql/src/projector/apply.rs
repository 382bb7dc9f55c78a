use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use stanchion_eventsourcing::{
    Checkpoint, EventLog, Filter, LogError, Page, Position, Projection, ProjectionError, Recorded,
};
use stanchion_runtime::task::panic_text;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::ProjectorError;
use super::meter::Meter;
use super::parked::{self, PARKED_MAX};
use super::place::Place;
use super::target::Target;
use crate::{SqlError, Tx};

/// How often an entry alone is tried before it counts as poison.
const POISON_TRIES: u32 = 2;

/// What a projection is applied with, whatever the rows are.
pub(super) struct Core {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) projection: Arc<dyn Projection<Tx>>,
    /// Poison is put aside instead of halting.
    pub(super) parks: AtomicBool,
    pub(super) meter: Arc<OnceLock<Meter>>,
    /// Who appends applies.
    pub(super) inline: AtomicBool,
}

/// Applies entries to rows, one target's.
#[derive(Clone)]
pub(super) struct Applier {
    pub(super) core: Arc<Core>,
    pub(super) target: Target,
}

/// What one step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is nothing to apply.
    AtHead,
    /// The rows moved on.
    Applied,
    /// Another projector moved them first.
    Moved,
}

/// Why a batch was not committed.
pub(super) enum Failed {
    Moved,
    Store(String),
    Poison(String),
}

impl Core {
    pub(super) fn new(log: Arc<dyn EventLog>, projection: Arc<dyn Projection<Tx>>) -> Arc<Self> {
        Arc::new(Self {
            log,
            projection,
            parks: AtomicBool::new(false),
            meter: Arc::default(),
            inline: AtomicBool::new(false),
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.projection.name()
    }

    /// The entry at a position of the log.
    pub(super) async fn entry(&self, position: Position) -> Result<Option<Recorded>, LogError> {
        let before = Position(position.0 - 1);
        let found = self.log.read(before, &Filter::all(), 1).await?;
        Ok(found.into_iter().find(|entry| entry.position == position))
    }
}

impl Applier {
    pub(super) fn new(core: Arc<Core>, target: Target) -> Self {
        Self { core, target }
    }

    /// Its metrics; a replay into other rows has none.
    pub(super) fn meter(&self) -> Option<&Meter> {
        self.core.meter.get().filter(|_| !self.target.replay)
    }

    /// Applies the next page of the log.
    pub(super) async fn step(&self, place: &mut Place) -> Result<Step, ProjectorError> {
        if place.parked.wants_a_look() && self.retry_due(place).await? {
            return Ok(Step::Moved);
        }
        let page = place.pages.next().await?;
        if page.through.position <= place.at.position {
            return Ok(Step::AtHead);
        }
        let began = Instant::now();
        match self.apply_page(place, &page).await {
            Ok(()) => {
                let entries = page.entries.len();
                place.pages.handled(entries, began.elapsed());
                debug!(projection = self.core.name(), entries, at = %place.at.position, "applied");
                Ok(Step::Applied)
            }
            Err(Failed::Moved) => Ok(Step::Moved),
            Err(Failed::Store(reason)) => {
                // A batch that took too long is tried again in smaller steps.
                place.pages.slow_down();
                Err(ProjectorError::Unavailable(reason))
            }
            Err(Failed::Poison(reason)) => Err(ProjectorError::Poison {
                position: self.first_after(place, &page),
                reason,
            }),
        }
    }

    /// The whole page at once; when an entry in it cannot be applied, ever smaller parts find out which.
    async fn apply_page(&self, place: &mut Place, page: &Page) -> Result<(), Failed> {
        let mut rest = page.entries.as_slice();
        let mut size = rest.len();
        let mut tries = 1;
        while place.at != page.through {
            let (part, later) = rest.split_at(size.min(rest.len()));
            let to = match part.last() {
                Some(last) if !later.is_empty() => Checkpoint::after(place.at.log, last),
                _ => page.through,
            };
            match self.commit(place, part, &to).await {
                Ok(()) => {
                    (rest, size, tries) = (later, size * 2, 1);
                }
                Err(Failed::Poison(_)) if part.len() > 1 => size = part.len() / 2,
                // What a restart of the server or a long stop of this process did is not the entry's fault.
                Err(Failed::Poison(_)) if tries < POISON_TRIES => tries += 1,
                Err(Failed::Poison(reason)) => {
                    let Some(entry) = part.first() else {
                        return Err(Failed::Poison(reason));
                    };
                    self.put_aside(place, entry, &to, reason).await?;
                    (rest, tries) = (later, 1);
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Applies entries and moves the checkpoint, in one transaction.
    async fn commit(
        &self,
        place: &mut Place,
        entries: &[Recorded],
        to: &Checkpoint,
    ) -> Result<(), Failed> {
        let mut tx = self.target.begin();
        self.target.queue_move(&tx, &place.at, to);
        let (free, behind) = apart(place, entries);
        if place.parked.count + behind.len() > PARKED_MAX {
            return Err(too_many());
        }
        // First: the entry it halted at may be among those that are put aside now.
        let past = place.parked.halted.filter(|(_, at)| *at <= to.position);
        if let Some((event, _)) = past {
            parked::queue_delete(&tx, &self.target.name, event);
        }
        for entry in &behind {
            let reason = "an earlier entry of its stream is put aside";
            let (sql, params) = parked::insert(&self.target.name, to.log, entry, reason);
            tx.queue(&sql, params);
        }
        let done = apply_to(&*self.core.projection, &mut tx, &free).await;
        let done = match done {
            Ok(()) => tx.commit().await.map_err(ProjectionError::from),
            Err(error) => Err(error),
        };
        self.judge(place, done).await?;
        place.at = *to;
        if past.is_some() {
            place.parked.halted = None;
        }
        place.parked.count += behind.len();
        if let Some(meter) = self.meter() {
            meter.applied(entries, place.parked.count);
        }
        Ok(())
    }

    /// What was refused may have been refused because another projector was quicker.
    pub(super) async fn judge(
        &self,
        place: &Place,
        done: Result<(), ProjectionError>,
    ) -> Result<(), Failed> {
        let reason = match done {
            Ok(()) => return Ok(()),
            Err(ProjectionError::Store(reason)) => return Err(Failed::Store(reason)),
            Err(ProjectionError::Poison(reason)) => reason,
        };
        let stored = self.target.checkpoints().await.map_err(out)?;
        let still = stored
            .iter()
            .any(|kept| kept.log == place.at.log && kept.position == place.at.position);
        Err(if still {
            Failed::Poison(reason)
        } else {
            Failed::Moved
        })
    }

    /// An entry that cannot be applied, alone: by policy it halts the projection or goes aside.
    async fn put_aside(
        &self,
        place: &mut Place,
        entry: &Recorded,
        to: &Checkpoint,
        reason: String,
    ) -> Result<(), Failed> {
        let parks = self.core.parks.load(Ordering::Relaxed);
        if !parks || self.core.inline.load(Ordering::Relaxed) {
            return Err(Failed::Poison(reason));
        }
        if place.parked.count >= PARKED_MAX {
            return Err(too_many());
        }
        warn!(projection = self.core.name(), position = %entry.position, reason, "entry put aside");
        let tx = self.target.begin();
        self.target.queue_move(&tx, &place.at, to);
        let (sql, params) = parked::insert(&self.target.name, to.log, entry, &reason);
        tx.queue(&sql, params);
        let done = tx.commit().await.map_err(ProjectionError::from);
        self.judge(place, done).await?;
        place.at = *to;
        place.parked.halted = None;
        place.parked.streams.insert(entry.stream.to_string());
        place.parked.count += 1;
        if let Some(meter) = self.meter() {
            meter.applied(&[], place.parked.count);
        }
        Ok(())
    }

    fn first_after(&self, place: &Place, page: &Page) -> Position {
        let at = place.at.position;
        let first = page.entries.iter().find(|entry| entry.position > at);
        first.map_or(at.next(), |entry| entry.position)
    }
}

/// A handler that panics met an entry it was not made for: that is poison, and no reason to end the process.
pub(super) async fn apply_to(
    projection: &dyn Projection<Tx>,
    tx: &mut Tx,
    entries: &[Recorded],
) -> Result<(), ProjectionError> {
    if entries.is_empty() {
        return Ok(());
    }
    let applied = projection.apply_batch(tx, entries);
    match AssertUnwindSafe(applied).catch_unwind().await {
        Ok(applied) => applied,
        Err(panic) => {
            let text = panic_text(panic.as_ref());
            Err(ProjectionError::Poison(format!("it panicked: {text}")))
        }
    }
}

/// Entries to be applied, and those that wait behind an earlier one of their stream.
fn apart<'a>(place: &Place, entries: &'a [Recorded]) -> (Cow<'a, [Recorded]>, Vec<&'a Recorded>) {
    let behind: Vec<_> = entries
        .iter()
        .filter(|entry| place.parked.holds_back(entry))
        .collect();
    if behind.is_empty() {
        return (Cow::Borrowed(entries), behind);
    }
    let free = entries
        .iter()
        .filter(|entry| !place.parked.holds_back(entry));
    (Cow::Owned(free.cloned().collect()), behind)
}

fn too_many() -> Failed {
    Failed::Poison(format!("more than {PARKED_MAX} entries are put aside"))
}

pub(super) fn out(error: SqlError) -> Failed {
    Failed::Store(error.to_string())
}
