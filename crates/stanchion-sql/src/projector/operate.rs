//! What an operator does: status, pause, resume, retry; durable, so that whichever process runs the projection obeys.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use stanchion_eventsourcing::{
    Checkpoint, OperatedProjection, Position, ProjectionState, ProjectionStatus, RebuildStatus,
    Verified, own_checkpoint,
};
use stanchion_runtime::clock;
use tracing::info;

use super::parked::{self, ParkedEntry};
use super::target::{name_of, stored};
use super::{Projector, ProjectorError};
use crate::{SqlError, params};

impl Projector {
    /// How it is, by what is stored and what this process knows.
    ///
    /// # Errors
    /// The log or the store is out.
    pub async fn status(&self) -> Result<ProjectionStatus, ProjectorError> {
        let live = &self.inner.live;
        let kept = live.target.checkpoints().await?;
        let (at, mut trouble) = match own_checkpoint(&kept, live.core.log.id()) {
            Ok(own) => (own, None),
            Err(error) => (None, Some(error.to_string())),
        };
        if let Some(Err(error)) = match &at {
            Some(at) => Some(at.verify(&*live.core.log).await),
            None => None,
        } {
            match ProjectorError::from(error) {
                halted if halted.halts() => trouble = Some(halted.to_string()),
                out => return Err(out),
            }
        }
        let position = at.map_or(Position::START, |at| at.position);
        let rows = parked::list(self.db(), &live.target.name).await?;
        let lag = self.measure(position).await?;
        let (state, reason) = self.state(position, &rows, trouble).await?;
        let aside = || rows.iter().filter(|row| row.position <= position);
        let since = aside().map(|row| clock::now().duration_since(row.since));
        let parked_reason = self.inner.seen.borrow().parked.clone();
        let oldest = since.max().map_or(0, |since| since.as_secs());
        Ok(ProjectionStatus {
            name: self.name(),
            log: live.core.log.id(),
            state,
            reason,
            position,
            head: lag.head,
            lag: u64::try_from(lag.positions).unwrap_or(0),
            lag_seconds: u64::try_from(lag.seconds).unwrap_or(0),
            parked: aside().count() as u64,
            parked_seconds: u64::try_from(oldest).unwrap_or(0),
            parked_reason,
            rebuild: self.rebuild_status().await?,
        })
    }

    /// Stops applying entries until [`Projector::resume`], also over a restart and in other processes (within a second).
    /// Nothing is being applied in this process when it returns.
    ///
    /// # Errors
    /// The store is out.
    pub async fn pause(&self) -> Result<(), ProjectorError> {
        let sql = "insert into checkpoint (name, log, position, at) values ($1, $2, $3, $4) \
                   on conflict (name, log) do nothing";
        let (name, log) = (
            name_of(self.name(), "paused"),
            self.inner.live.core.log.id(),
        );
        let params = params![name, log, self.position(), clock::now()];
        self.db().exec(sql, params).await?;
        self.inner.paused.store(true, Ordering::Relaxed);
        self.inner.poke.notify_waiters();
        drop(self.inner.gate.lock().await);
        self.wait_for_appends().await?;
        info!(projection = self.name(), at = %self.position(), "projection paused");
        Ok(())
    }

    /// Goes on after a pause, and tries again after a halt. An inline one is caught up with the log first.
    ///
    /// # Errors
    /// The store is out. Inline: it cannot be caught up; it stays paused.
    pub async fn resume(&self) -> Result<(), ProjectorError> {
        if self.is_inline() {
            self.catch_up().await?;
        }
        let sql = "delete from checkpoint where name = $1";
        let name = name_of(self.name(), "paused");
        self.db().exec(sql, params![name]).await?;
        let at = self.stored_position().await?;
        let target = &self.inner.live.target;
        let rows = parked::list(&target.db, &target.name).await?;
        for row in rows.iter().filter(|row| row.position > at) {
            let sql = "update parked set state = 'retry' where consumer = $1 and message_id = $2";
            let params = params![target.name.as_str(), row.event];
            target.db.exec(sql, params).await?;
        }
        self.inner.paused.store(false, Ordering::Relaxed);
        self.try_again();
        info!(projection = self.name(), %at, "projection resumed");
        Ok(())
    }

    /// Makes what was put aside due again; how many entries. They are tried by whichever process runs the projection,
    /// within a second, those of one stream in order.
    ///
    /// # Errors
    /// The store is out.
    pub async fn retry_parked(&self) -> Result<u64, ProjectorError> {
        let target = &self.inner.live.target;
        let due = parked::redrive(&target.db, &target.name).await?;
        if let Some(place) = &mut *self.inner.gate.lock().await {
            place.parked.looked = None;
            place.parked.trouble = None;
        }
        self.inner.poke.notify_waiters();
        Ok(due)
    }

    /// An operator did something about a halt: the run goes on at once, and nobody is told of the old one meanwhile.
    pub(super) fn try_again(&self) {
        if self.halted().is_some() {
            self.enter(self.at_work(), None);
        }
        self.inner.poke.notify_waiters();
    }

    /// Where the live rows are.
    pub(super) async fn stored_position(&self) -> Result<Position, ProjectorError> {
        let live = &self.inner.live;
        let kept = live.target.checkpoints().await?;
        let own = own_checkpoint(&kept, live.core.log.id())?;
        Ok(own.map_or(Position::START, |own: Checkpoint| own.position))
    }

    async fn state(
        &self,
        at: Position,
        rows: &[ParkedEntry],
        trouble: Option<String>,
    ) -> Result<(ProjectionState, Option<String>), SqlError> {
        let paused = stored(self.db(), &name_of(self.name(), "paused")).await?;
        let seen = self.inner.seen.borrow().clone();
        if self.is_running() && seen.state == ProjectionState::Halted {
            return Ok((seen.state, seen.reason));
        }
        let stands = rows.iter().find(|row| row.position > at && !row.due);
        let stands =
            stands.map(|row| format!("halted at position {}: {}", row.position, row.reason));
        if let Some(reason) = trouble.or(stands) {
            return Ok((ProjectionState::Halted, Some(reason)));
        }
        if !paused.is_empty() {
            return Ok((ProjectionState::Paused, None));
        }
        match seen.state {
            // Whoever appends applies, whether this process runs it or not.
            ProjectionState::NotRunHere if self.is_inline() => Ok((self.at_work(), None)),
            state => Ok((state, seen.reason)),
        }
    }

    async fn rebuild_status(&self) -> Result<Option<RebuildStatus>, SqlError> {
        let kept = stored(self.db(), &name_of(self.name(), "rebuild")).await?;
        let known = self.inner.rebuild.progress();
        let Some(mark) = kept.first() else {
            return Ok(None);
        };
        Ok(Some(RebuildStatus {
            position: known.position.max(mark.position),
            running_here: known.running,
            reason: known.reason,
        }))
    }
}

#[async_trait]
impl OperatedProjection for Projector {
    fn name(&self) -> &'static str {
        Projector::name(self)
    }

    async fn status(&self) -> Result<ProjectionStatus, String> {
        Projector::status(self).await.map_err(said)
    }

    async fn halted(&self) -> Result<Option<String>, String> {
        if self.is_running() {
            return Ok(Projector::halted(self));
        }
        let status = Projector::status(self).await.map_err(said)?;
        let halted = status.state == ProjectionState::Halted;
        Ok(halted.then(|| status.reason.unwrap_or_default()))
    }

    async fn pause(&self) -> Result<(), String> {
        Projector::pause(self).await.map_err(said)
    }

    async fn resume(&self) -> Result<(), String> {
        Projector::resume(self).await.map_err(said)
    }

    async fn rebuild(&self) -> Result<Position, String> {
        Projector::rebuild(self).await.map_err(said)
    }

    async fn cancel_rebuild(&self) -> Result<bool, String> {
        Projector::cancel_rebuild(self).await.map_err(said)
    }

    async fn verify(&self) -> Result<Verified, String> {
        Projector::verify(self).await.map_err(said)
    }

    async fn retry_parked(&self) -> Result<u64, String> {
        Projector::retry_parked(self).await.map_err(said)
    }
}

fn said(error: ProjectorError) -> String {
    error.to_string()
}
