//! Inline: the rows are written by the transactions that append the entries.
//!
//! The order of locks, the same for everybody: a unit's own rows, the checkpoints of its inline projections by their
//! names, the log's lock, the projections' rows. Who holds a checkpoint alone may write the projection's rows, so behind
//! the log's lock nobody waits for anything but a projection's own statements.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock as SyncRwLock;
use stanchion_eventsourcing::{
    Append, AppendError, Checkpoint, Filter, LogId, Position, Projection, ProjectionError,
    ProjectionState, Recorded, own_checkpoint,
};
use stanchion_runtime::clock;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, watch};

use super::apply::apply_to;
use super::meter::Meter;
use super::target::{checkpoint, live_name, name_of, stored};
use super::{Projector, ProjectorError, Seen, parked};
use crate::log::{self, ROWS_MAX};
use crate::{Engine, Row, SqlError, Tx, WorkError, params};

/// The most projections of one module that are inline: each lengthens the transactions that it takes part in.
const INLINE_MAX: usize = 16;

/// The most entries of others that a transaction applies before its own. Behind by more, it is refused: catching up is
/// the projector's work.
const BEHIND_MAX: usize = 1_000;

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

/// A projection whose rows and checkpoint nobody else moves until the transaction ends.
pub(crate) struct Held {
    inline: Arc<Inline>,
    at: Checkpoint,
    /// Entries put aside, and the one it halted at.
    parked: i64,
}

/// What a transaction will have applied once it commits.
pub(crate) struct Applied {
    inline: Arc<Inline>,
    entries: Vec<Recorded>,
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

    async fn hold(self: Arc<Self>, tx: &Tx) -> Result<Option<Held>, WorkError> {
        let pause = name_of(self.projection.name(), "paused");
        let sql = "select log, position, event_id, \
                   (select count(*) from parked p where p.consumer = c.name) \
                   from checkpoint c where name = $1 \
                   and not exists (select 1 from checkpoint p where p.name = $2) for update";
        let params = params![self.name.as_str(), pause.as_str()];
        let mut rows = tx.query(sql, params.clone()).await?;
        if rows.is_empty() {
            if !stored(tx, &pause).await?.is_empty() {
                return Ok(None);
            }
            let start = "insert into checkpoint (name, log, position, at) values ($1, $2, 0, $3) \
                         on conflict (name, log) do nothing";
            tx.queue(start, params![self.name.as_str(), self.log, clock::now()]);
            rows = tx.query(sql, params).await?;
        }
        let kept = rows.iter().map(checkpoint).collect::<Result<Vec<_>, _>>()?;
        let own = own_checkpoint(&kept, self.log);
        let own = own.map_err(|error| self.stands(&error.to_string()))?;
        let counted = |row: &Row| row.get::<i64>(3);
        let parked = rows.first().map(counted).transpose()?;
        Ok(Some(Held {
            at: own.unwrap_or(Checkpoint::start(self.log)),
            parked: parked.unwrap_or(0),
            inline: self,
        }))
    }

    /// It cannot go on, which is not the fault of what is appended.
    fn stands(&self, reason: &str) -> WorkError {
        let name = self.projection.name();
        WorkError::Log(AppendError::Unavailable(format!(
            "the inline projection `{name}` does not move: {reason}"
        )))
    }
}

/// Keeps the rows of these projections for this transaction; paused ones are left out.
pub(crate) async fn hold(tx: &Tx, wanting: Vec<Arc<Inline>>) -> Result<Vec<Held>, WorkError> {
    let mut held = Vec::new();
    for inline in wanting {
        held.extend(inline.hold(tx).await?);
    }
    Ok(held)
}

impl Held {
    /// Applies what the log has got since the checkpoint and moves it; the last entries are those of `appends`.
    pub(crate) async fn apply(self, tx: &mut Tx, appends: &[Append]) -> Result<Applied, WorkError> {
        let own = self.inline.wanted_of(appends);
        if own >= ROWS_MAX {
            let many = format!("more than {ROWS_MAX} events at once");
            return Err(refused(self.inline.projection.name(), &many));
        }
        // One more than may be there says that there are more.
        let limit = (BEHIND_MAX + own + 1).min(ROWS_MAX);
        let read = log::entries(&*tx, self.at.position, &self.inline.filter, limit).await;
        let entries = match read {
            Ok(entries) => entries,
            // What was queued before it, most of all the events themselves, may be what was refused.
            Err(error) => {
                tx.flush().await?;
                return Err(self.inline.stands(&error.to_string()));
            }
        };
        let others = entries.len().checked_sub(own).ok_or_else(|| {
            SqlError::Decode("the transaction does not see its own events".into())
        })?;
        if entries.len() >= limit && others > 0 {
            let at = self.at.position;
            let far = format!("it is at {at}, more than {BEHIND_MAX} entries behind");
            return Err(self.inline.stands(&far));
        }
        let (others, ours) = entries.split_at(others);
        self.catch_up(tx, others).await?;
        let applied = apply_to(&*self.inline.projection, tx, ours).await;
        if let Err(error) = applied {
            return Err(match error {
                ProjectionError::Poison(reason) => refused(self.inline.projection.name(), &reason),
                ProjectionError::Store(reason) => failed(tx, reason).await,
            });
        }
        if let Some(last) = entries.last() {
            let sql = "insert into checkpoint (name, log, position, event_id, at) \
                       values ($1, $2, $3, $4, $5) on conflict (name, log) do update set \
                       position = excluded.position, event_id = excluded.event_id, at = excluded.at";
            let (name, log) = (self.inline.name.as_str(), self.inline.log);
            tx.queue(
                sql,
                params![name, log, last.position, last.id, clock::now()],
            );
        }
        Ok(Applied {
            inline: self.inline,
            entries,
        })
    }

    /// What came another way goes before; told apart from what this transaction is about.
    async fn catch_up(&self, tx: &mut Tx, others: &[Recorded]) -> Result<(), WorkError> {
        let inline = &self.inline;
        if self.parked > 0 {
            // It may have halted at one of them.
            for entry in others {
                parked::queue_delete(tx, &inline.name, entry.id);
            }
            let sql = "select count(*) from parked where consumer = $1";
            let left: i64 = tx.one(sql, params![inline.name.as_str()]).await?.get(0)?;
            if left > 0 {
                let aside =
                    format!("{left} entries are put aside, and later ones wait behind them");
                return Err(inline.stands(&aside));
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        let applied = match apply_to(&*inline.projection, tx, others).await {
            Ok(()) => tx.flush().await.map_err(ProjectionError::from),
            Err(error) => Err(error),
        };
        match applied {
            Ok(()) => Ok(()),
            Err(ProjectionError::Poison(reason)) => Err(inline.stands(&reason)),
            Err(ProjectionError::Store(reason)) => Err(failed(tx, reason).await),
        }
    }
}

impl Applied {
    /// The transaction was committed.
    pub(crate) fn committed(&self) {
        let at = self
            .entries
            .last()
            .map_or(Position::START, |last| last.position);
        self.inline.seen.send_if_modified(|seen| {
            let moved = seen.at < at;
            seen.at = seen.at.max(at);
            moved
        });
        if let Some(meter) = self.inline.meter.get() {
            meter.applied(&self.entries, 0);
            meter.lag(0, 0);
        }
    }
}

fn refused(name: &str, reason: &str) -> WorkError {
    let reason = format!("the inline projection `{name}` refuses it: {reason}");
    WorkError::Log(AppendError::Invalid(reason))
}

/// The transaction itself knows best what kind of failure it was.
async fn failed(tx: &Tx, reason: String) -> WorkError {
    let known = tx.flush().await.err();
    WorkError::Store(known.unwrap_or(SqlError::Unavailable(reason)))
}

impl std::fmt::Debug for Inlines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = self.all.read().iter().map(|one| one.name.clone()).collect();
        f.debug_tuple("Inlines").field(&names).finish()
    }
}
