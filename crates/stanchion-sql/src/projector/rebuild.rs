//! A rebuild beside the live rows: the log is replayed into tables of the same names elsewhere, which then take the
//! place of the live rows in one transaction.

use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use stanchion_eventsourcing::{Position, own_checkpoint};
use stanchion_runtime::clock;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::apply::{Applier, Step};
use super::place::Place;
use super::shadow::Shadow;
use super::target::{name_of, stored};
use super::turn::{Fence, Turn};
use super::{Projector, ProjectorError, unless};
use crate::params;

/// Failures in a row after which a replay gives up; the wait between them.
pub(super) const FAILURES_MAX: u32 = 20;
pub(super) const RECOVER: Duration = Duration::from_millis(500);

/// One rebuild or verification at a time and process.
#[derive(Default)]
pub(super) struct Guard {
    busy: AsyncMutex<()>,
    progress: Mutex<Progress>,
    cancel: Mutex<CancellationToken>,
}

/// How far a rebuild of this process is.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) position: Position,
    pub(super) running: bool,
    pub(super) reason: Option<String>,
}

impl Guard {
    pub(super) fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    pub(super) fn alone(&self) -> Result<MutexGuard<'_, ()>, ProjectorError> {
        let busy = || ProjectorError::Refused("a rebuild or a verification is under way".into());
        self.busy.try_lock().map_err(|_| busy())
    }
}

impl Projector {
    /// Replays the whole log into new rows and puts them in the place of the live ones.
    ///
    /// With [`Projection::tables`](stanchion_eventsourcing::Projection::tables): the live rows are kept up to date and
    /// read meanwhile; the new ones are made beside them (PostgreSQL: in the schema `<module>__rebuild`; SQLite: in a
    /// file of their own), with [`Tx::is_replay`](crate::Tx::is_replay) true so that nothing reaches the outside twice.
    /// The swap is one transaction that also moves the checkpoint, never backwards: readers see the rows of before or
    /// those of after, as far in the log as before. On PostgreSQL the tables change places, which takes a moment however
    /// many rows there are; readers, and the appends of an [inline](Projector::inline) projection, wait for at most 1.5 s
    /// at a time. Where a live table has what a new one would not (foreign keys, triggers, rights of its own, a view on
    /// it, …), or is being read all the time, its rows are copied, and so they are on SQLite, as one write: meanwhile
    /// this projection waits, with it an inline one's appends (refused after
    /// [`crate::DatabaseSettings::append_wait`]) and, on SQLite, every other write. A rebuild that was interrupted is
    /// taken up where it was, if the projection is what it was then
    /// ([version](stanchion_eventsourcing::Projection::version), filter, tables and their columns); else it begins anew.
    /// Only one process at a time rebuilds or verifies a projection, by a lease.
    ///
    /// On PostgreSQL it needs two connections of the pool at once.
    ///
    /// Without tables the rows are emptied first, and readers see them grow again.
    ///
    /// # Errors
    /// See [`ProjectorError`]; the live rows stay as they were.
    pub async fn rebuild(&self) -> Result<Position, ProjectorError> {
        let turn = self.turn().await?;
        let fence = turn.fence();
        turn.take(self.rebuild_in(fence)).await
    }

    async fn rebuild_in(&self, fence: Fence) -> Result<Position, ProjectorError> {
        if self.inner.live.core.projection.tables().is_empty() {
            return self.rebuild_in_place().await;
        }
        let cancel = CancellationToken::new();
        *self.inner.rebuild.cancel.lock() = cancel.clone();
        let underway = Underway::begin(self);
        let rebuilt = unless(&cancel, self.rebuild_beside(&fence).boxed()).await;
        let rebuilt = rebuilt.unwrap_or_else(|| Err(ProjectorError::Refused("cancelled".into())));
        underway.end(rebuilt.as_ref().err().map(ToString::to_string));
        rebuilt
    }

    /// Gives up a rebuild, also one of a process that is gone; false if there is none. The live rows stay as they are.
    ///
    /// # Errors
    /// The store is out.
    pub async fn cancel_rebuild(&self) -> Result<bool, ProjectorError> {
        self.inner.rebuild.cancel.lock().cancel();
        let _alone = self.inner.rebuild.busy.lock().await;
        let live = &self.inner.live;
        let found = Shadow::find(live).await?;
        let Some(shadow) = found else {
            return Ok(false);
        };
        shadow.remove().await?;
        *self.inner.rebuild.progress.lock() = Progress::default();
        info!(projection = self.name(), "rebuild given up");
        Ok(true)
    }

    /// Where the live rows are, if their checkpoint is one in this log as it is; else a rebuild is what mends them.
    pub(super) async fn sound_position(&self) -> Result<Option<Position>, ProjectorError> {
        let log = &self.inner.live.core.log;
        let kept = self.inner.live.target.checkpoints().await?;
        let checked = match own_checkpoint(&kept, log.id()) {
            Ok(Some(own)) => own.verify(&**log).await.map(|()| own.position),
            Ok(None) => Ok(Position::START),
            Err(error) => Err(error),
        };
        match checked.map_err(ProjectorError::from) {
            Ok(position) => Ok(Some(position)),
            Err(ProjectorError::Checkpoint(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn take_up_rebuild(&self, stop: &CancellationToken) {
        let name = name_of(self.name(), "rebuild");
        let taken_up = async {
            loop {
                let marked = stored(self.db(), &name).await;
                if marked.is_ok_and(|kept| kept.is_empty()) {
                    return Ok(());
                }
                // The process that was at it may still be, or its lease is not over yet.
                match self.turn_if_free().await {
                    Ok(Some(turn)) => return self.take_up_in(turn, &name).await,
                    Err(refused @ ProjectorError::Refused(_)) => return Err(refused),
                    Ok(None) | Err(_) => tokio::time::sleep(RECOVER).await,
                }
            }
        };
        if let Some(Err(error)) = unless(stop, taken_up).await {
            warn!(projection = self.name(), %error, "the rebuild stopped; the live rows are as they were");
        }
    }

    /// Unless its end was between the look and the turn.
    async fn take_up_in(&self, turn: Turn<'_>, name: &str) -> Result<(), ProjectorError> {
        let fence = turn.fence();
        turn.take(async {
            if stored(self.db(), name).await?.is_empty() {
                return Ok(());
            }
            info!(
                projection = self.name(),
                "an interrupted rebuild is taken up"
            );
            self.rebuild_in(fence).await.map(drop)
        })
        .await
    }

    /// Applies entries to rows beside the live ones: all up to `last`, and none after it, because a replayed entry has
    /// no effects outside and those after the live rows are still to have theirs.
    pub(super) async fn replay_until(
        &self,
        applier: &Applier,
        last: Position,
    ) -> Result<Place, ProjectorError> {
        let mut place = applier.load_until(Some(last)).await?;
        let mut failures = 0;
        while place.at.position < last {
            match self.replay_step(applier, &mut place).await {
                Ok(Step::AtHead) => {
                    let reason = format!(
                        "the log could not be replayed to {last}, only to {}",
                        place.at.position
                    );
                    return Err(ProjectorError::Unavailable(reason));
                }
                Ok(_) => failures = 0,
                Err(error) if error.halts() || failures >= FAILURES_MAX => return Err(error),
                Err(error) => {
                    failures += 1;
                    warn!(projection = self.name(), %error, "the replay waits");
                    tokio::time::sleep(RECOVER).await;
                }
            }
            self.inner.rebuild.progress.lock().position = place.at.position;
        }
        Ok(place)
    }

    async fn replay_step(
        &self,
        applier: &Applier,
        place: &mut Place,
    ) -> Result<Step, ProjectorError> {
        if place.stale {
            applier.refresh(place).await?;
        }
        place.stale = true;
        let step = applier.step(place).await?;
        place.stale = step == Step::Moved;
        Ok(step)
    }

    async fn rebuild_in_place(&self) -> Result<Position, ProjectorError> {
        let live = &self.inner.live;
        {
            let mut gate = self.inner.gate.lock().await;
            let name = live.target.name.as_str();
            let mut tx = live.target.begin().replaying(true);
            let log = live.core.log.id();
            let others = "delete from checkpoint where name = $1 and log <> $2";
            tx.queue(others, params![name, log]);
            let zero = "insert into checkpoint (name, log, position, at) values ($1, $2, 0, $3) \
                        on conflict (name, log) do update set position = 0, event_id = null";
            tx.queue(zero, params![name, log, clock::now()]);
            tx.queue("delete from parked where consumer = $1", params![name]);
            let reset = live.core.projection.reset(&mut tx).await;
            reset.map_err(|error| ProjectorError::Unavailable(error.to_string()))?;
            tx.commit().await?;
            *gate = None;
            self.publish(Position::START);
            self.try_again();
        }
        self.catch_up().await
    }
}

/// Says that a rebuild is under way, to its end, whatever the end.
struct Underway<'a>(&'a Projector);

impl<'a> Underway<'a> {
    fn begin(projector: &'a Projector) -> Self {
        *projector.inner.rebuild.progress.lock() = Progress {
            running: true,
            ..Progress::default()
        };
        Self(projector)
    }

    fn end(self, reason: Option<String>) {
        self.0.inner.rebuild.progress.lock().reason = reason;
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.inner.rebuild.progress.lock().running = false;
    }
}
