//! Inline: the rows are written by the transactions that append the entries.
//!
//! The order of locks, the same for everybody: a unit's own rows, the checkpoints of its inline projections by their
//! names, the log's lock, the projections' rows. Who holds a checkpoint alone may write the projection's rows, so behind
//! the log's lock nobody waits for anything but a projection's own statements.

mod held;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock as SyncRwLock;
use stanchion_eventsourcing::{Append, AppendError, Filter, LogId, Projection, ProjectionState};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, watch};

use super::meter::Meter;
use super::target::live_name;
use super::{Projector, ProjectorError, Seen};
use crate::{Engine, SqlError, Tx, WorkError, params};

pub(crate) use held::{Applied, hold};

/// The most projections of one module that are inline: each lengthens the transactions that it takes part in.
const INLINE_MAX: usize = 16;

/// The inline projections of a module, in the order of their names.
#[derive(Default)]
pub(crate) struct Inlines {
    all: SyncRwLock<Vec<Arc<Inline>>>,
    /// Whether there are any: asked for by each append.
    any: AtomicBool,
    /// Held for reading by transactions with such a projection, for writing while its rows must stand still.
    still: RwLock<()>,
}

/// One of them.
pub(crate) struct Inline {
    projection: Arc<dyn Projection<Tx>>,
    filter: Filter,
    log: LogId,
    /// The checkpoint's name.
    name: String,
    seen: Arc<watch::Sender<Seen>>,
    meter: Arc<OnceLock<Meter>>,
}

impl Projector {
    /// Makes it inline: from now on every append and every unit of work of this process with an entry that passes the
    /// filter applies it in its own transaction. Once it is acknowledged the rows have it, or neither is there.
    ///
    /// What the projection refuses (poison, a constraint, a panic) refuses the append as a whole
    /// ([`AppendError::Invalid`]); nothing is ever put aside. Such appends share no transaction with others: they cost
    /// what a unit of work costs, and the projection's statements run behind the log's lock.
    ///
    /// Entries that came another way (a process without this call, an import, the SQL function `stanchion_append`, those
    /// from before) are applied by the next such transaction before its own, if they are at most 1,000; else it is
    /// refused as unavailable until [`Projector::catch_up`] or [`Projector::run`] has applied them. Call the first before
    /// serving, run the second as for any projection: it looks once a second. Paused, the rows stand still and appends go
    /// on without them.
    ///
    /// It holds for the module's [`crate::Db`] and its clones, also when this handle is dropped; a second projection of
    /// the same name takes the first one's place.
    ///
    /// # Errors
    /// [`ProjectorError::Refused`]: the log is not an open one in the same database, or 16 are inline already.
    pub fn inline(self) -> Result<Self, ProjectorError> {
        let core = &self.inner.live.core;
        let log = self.db().log();
        if log.id.get() != Some(&core.log.id()) {
            return Err(ProjectorError::Refused(format!(
                "`{}` cannot be inline: its log is not the one that is open in its database",
                core.name()
            )));
        }
        log.inline.add(Inline {
            projection: Arc::clone(&core.projection),
            filter: core.projection.filter(),
            log: core.log.id(),
            name: live_name(core.name()),
            seen: Arc::clone(&self.inner.seen),
            meter: Arc::clone(&core.meter),
        })?;
        core.inline.store(true, Ordering::Relaxed);
        Ok(self)
    }

    pub(super) fn is_inline(&self) -> bool {
        self.inner.live.core.inline.load(Ordering::Relaxed)
    }

    /// What it is while nothing is wrong.
    pub(super) fn at_work(&self) -> ProjectionState {
        match self.is_inline() {
            true => ProjectionState::Inline,
            false => ProjectionState::Following,
        }
    }

    /// Keeps this process's transactions from moving the rows of inline projections.
    pub(super) async fn hold_appends(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        match self.is_inline() {
            true => Some(self.db().log().inline.still.write().await),
            false => None,
        }
    }

    /// Waits for the transactions that have begun to apply entries: those that begin now see the pause.
    pub(super) async fn wait_for_appends(&self) -> Result<(), SqlError> {
        // SQLite's writer has already waited for them.
        if !self.is_inline() || self.db().engine() == Engine::Sqlite {
            return Ok(());
        }
        let tx = self.db().begin();
        let sql = "select 1 from checkpoint where name = $1 for update";
        tx.query(sql, params![live_name(self.name())]).await?;
        tx.rollback().await
    }
}

impl Inlines {
    fn add(&self, inline: Inline) -> Result<(), ProjectorError> {
        let mut all = self.all.write();
        all.retain(|known| known.name != inline.name);
        if all.len() >= INLINE_MAX {
            let many = format!("{INLINE_MAX} projections are inline already");
            return Err(ProjectorError::Refused(many));
        }
        let place = all.partition_point(|known| known.name < inline.name);
        all.insert(place, Arc::new(inline));
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    /// Those that want an event of these appends.
    pub(crate) fn wanting(&self, appends: &[Append]) -> Vec<Arc<Inline>> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let all = self.all.read();
        let wanting = all.iter().filter(|inline| inline.wanted_of(appends) > 0);
        wanting.cloned().collect()
    }

    /// Waits while the rows must stand still.
    pub(crate) async fn turn(&self) -> RwLockReadGuard<'_, ()> {
        self.still.read().await
    }
}

impl Inline {
    /// How many events it wants.
    fn wanted_of(&self, appends: &[Append]) -> usize {
        let wanted = |append: &Append| {
            let category = append.stream.category();
            let events = append.events.iter();
            events
                .filter(|event| self.filter.wants(category, &event.kind))
                .count()
        };
        appends.iter().map(wanted).sum()
    }

    /// It cannot go on, which is not the fault of what is appended.
    fn stands(&self, reason: &str) -> WorkError {
        let name = self.projection.name();
        WorkError::Log(AppendError::Unavailable(format!(
            "the inline projection `{name}` does not move: {reason}"
        )))
    }
}

impl std::fmt::Debug for Inlines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = self.all.read().iter().map(|one| one.name.clone()).collect();
        f.debug_tuple("Inlines").field(&names).finish()
    }
}
