//! Projectors: rows made of a log, with everything an operator does with them.

mod apply;
mod checkpoints;
mod compare;
mod error;
mod follow;
mod inline;
mod meter;
mod operate;
mod parked;
mod place;
mod rebuild;
mod retry;
mod shadow;
mod swap;
mod target;
mod turn;
mod verify;
mod wait;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use stanchion_eventsourcing::{EventLog, LogError, Position, Projection, ProjectionState};
use stanchion_telemetry::Metrics;
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::apply::{Applier, Core, Step};
use self::meter::Meter;
use self::place::Place;
use self::target::Target;
use crate::{Db, Tx};

pub use checkpoints::SqlCheckpoints;
pub use error::{Behind, ProjectorError};
pub(crate) use inline::{Applied, Inline, Inlines, hold};

/// Keeps a projection's rows up to date with a log; rows and checkpoint commit together.
///
/// Every entry is applied exactly once and in order, also over a crash and beside a second projector of the same rows,
/// which waits for its turn. Batches grow from 100 to 10,000 entries with the backlog; the next one is read while one
/// is applied.
///
/// The checkpoint names the log, the position and the event seen there. A log that is not the one it knows, that went
/// back, or an entry that cannot be applied **halts** the projection: it says so (`/ready`, metrics, the operator's
/// commands, [`Projector::wait_for`]) and stays where it is until somebody acts. Made with
/// [`Projector::parking_poison`], it puts such an entry aside instead, with the reason, and goes on.
///
/// A rebuild makes new rows beside the live ones and puts them in their place in one transaction; killed, it is taken
/// up again by the next [`Projector::run`]. Cheap to clone: every clone is a handle to the same projector.
#[derive(Clone)]
pub struct Projector {
    inner: Arc<Inner>,
}

struct Inner {
    live: Applier,
    /// Held while a batch is applied, and while the rows must stand still.
    gate: Mutex<Option<Place>>,
    seen: Arc<watch::Sender<Seen>>,
    /// How many times it is being run by this process.
    running: AtomicUsize,
    paused: AtomicBool,
    /// Wakes whoever rests: something was changed by an operator.
    poke: Notify,
    rebuild: rebuild::Guard,
}

/// What is known in this process.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    at: Position,
    state: ProjectionState,
    reason: Option<String>,
    /// Why due entries are not tried.
    parked: Option<String>,
}

impl Projector {
    /// A projector of `projection` over `log`, with its rows in `db`.
    pub fn new(db: Db, log: Arc<dyn EventLog>, projection: impl Projection<Tx> + 'static) -> Self {
        let core = Core::new(log, Arc::new(projection));
        let target = Target::live(db, core.name());
        let inner = Inner {
            live: Applier::new(core, target),
            gate: Mutex::new(None),
            seen: Arc::new(watch::Sender::new(Seen::default())),
            running: AtomicUsize::new(0),
            paused: AtomicBool::new(false),
            poke: Notify::new(),
            rebuild: rebuild::Guard::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Puts an entry that cannot be applied aside instead of halting: a durable row with the reason, in the module's
    /// dead letters. Later entries of its stream wait behind it, all others go on; an operator makes it due again. An
    /// [inline](Projector::inline) one never does.
    #[must_use]
    pub fn parking_poison(self) -> Self {
        self.inner.live.core.parks.store(true, Ordering::Relaxed);
        self
    }

    /// Puts how it is into `stanchion_projection_lag` (positions), `…_lag_seconds`, `…_halted`, `…_paused`,
    /// `…_parked`, `…_batch` (entries in the last one) and `…_applied_total`, by `module` and `projection`.
    #[must_use]
    pub fn with_metrics(self, metrics: &Metrics) -> Self {
        let meter = Meter::new(metrics, self.db().module(), self.name());
        let _ = self.inner.live.core.meter.set(meter);
        self
    }

    /// The projection's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.inner.live.core.name()
    }

    /// How far it came, as far as this process knows.
    #[must_use]
    pub fn position(&self) -> Position {
        self.inner.seen.borrow().at
    }

    /// Why it halted, if it did and this process runs it.
    #[must_use]
    pub fn halted(&self) -> Option<String> {
        let seen = self.inner.seen.borrow();
        let halted = seen.state == ProjectionState::Halted;
        seen.reason.clone().filter(|_| halted)
    }

    /// Positions of the log that it has not looked at yet, as far as this process knows.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn lag(&self) -> Result<u64, LogError> {
        let head = self.inner.live.core.log.head().await?;
        Ok(u64::try_from(head.0 - self.position().0).unwrap_or(0))
    }

    /// Applies what there is until the rows are at the log's head, whatever a pause says: for tests and first starts.
    ///
    /// # Errors
    /// See [`ProjectorError`]. An entry that it halts at is noted among the dead letters, as by [`Projector::run`].
    pub async fn catch_up(&self) -> Result<Position, ProjectorError> {
        loop {
            match self.step().await {
                Ok(Step::AtHead) => return Ok(self.position()),
                Ok(_) => {}
                Err(error) => {
                    if error.halts()
                        && let Err(error) = self.note_halt(&error).await
                    {
                        warn!(projection = self.name(), %error, "the halt could not be noted");
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Applies one batch to the live rows.
    async fn step(&self) -> Result<Step, ProjectorError> {
        let mut gate = self.inner.gate.lock().await;
        let place = match &mut *gate {
            Some(place) => place,
            empty => empty.insert(self.inner.live.load().await?),
        };
        // A call that fails or is cancelled leaves it stale: the next one looks where the rows are.
        if place.stale {
            self.inner.live.refresh(place).await?;
        }
        place.stale = true;
        self.publish(place.at.position);
        let step = self.inner.live.step(place).await;
        self.publish(place.at.position);
        self.publish_trouble(place);
        let step = step?;
        // Who appends to an inline one moves it.
        place.stale = step == Step::Moved || (self.is_inline() && step == Step::AtHead);
        Ok(step)
    }

    fn publish(&self, at: Position) {
        self.inner.seen.send_if_modified(|seen| {
            let moved = seen.at != at;
            seen.at = at;
            moved
        });
    }

    fn publish_trouble(&self, place: &Place) {
        let trouble = place.parked.trouble.as_ref();
        self.inner.seen.send_if_modified(|seen| {
            let changed = seen.parked.as_ref() != trouble.map(|trouble| &trouble.reason);
            if changed {
                seen.parked = trouble.map(|trouble| trouble.reason.clone());
            }
            changed
        });
    }

    fn enter(&self, state: ProjectionState, reason: Option<String>) {
        if let Some(meter) = self.inner.live.core.meter.get() {
            meter.state(state);
        }
        self.inner.seen.send_if_modified(|seen| {
            let changed = seen.state != state || seen.reason != reason;
            (seen.state, seen.reason) = (state, reason);
            changed
        });
    }

    fn db(&self) -> &Db {
        &self.inner.live.target.db
    }

    fn is_running(&self) -> bool {
        self.inner.running.load(Ordering::Relaxed) > 0
    }
}

/// Counts a run of the projector in this process, to its end.
struct Running<'a>(&'a Projector);

impl<'a> Running<'a> {
    fn begin(projector: &'a Projector) -> Self {
        projector.inner.running.fetch_add(1, Ordering::Relaxed);
        Self(projector)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let left = self.0.inner.running.fetch_sub(1, Ordering::Relaxed);
        if left == 1 {
            self.0.enter(ProjectionState::NotRunHere, None);
        }
    }
}

/// Ends with the stop or when `done` does.
async fn unless<T>(stop: &CancellationToken, done: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        () = stop.cancelled() => None,
        done = done => Some(done),
    }
}
