//! Running: follow the log, rest at its head, stand still when paused or halted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use stanchion_eventsourcing::{LogError, Position, ProjectionState};
use stanchion_runtime::clock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::apply::Step;
use super::parked::{self, ParkedEntry};
use super::target::{name_of, stored};
use super::{Projector, ProjectorError, Running, unless};
use crate::SqlError;

/// How long the log's hints are trusted before it looks by itself; how often it looks for an operator's wishes.
const LOOK: Duration = Duration::from_secs(1);

/// How long it waits after its log or store failed.
const RECOVER: Duration = Duration::from_millis(500);

/// What a projection that stands still waits for.
#[derive(Clone, Copy, Debug)]
enum Until {
    /// The pause is over.
    Resumed,
    /// The entry it halted at was made due again.
    WantedAgain(Option<Uuid>),
}

/// Positions and seconds that the rows are behind the log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lag {
    pub(super) head: Position,
    pub(super) positions: i64,
    pub(super) seconds: i64,
}

impl Projector {
    /// Follows the log until told to stop; a batch at hand is finished first. Takes up a rebuild that was interrupted.
    pub async fn run(self, stop: CancellationToken) {
        let _running = Running::begin(&self);
        // Boxed: it contains all of a rebuild, deeper than a compiler likes to look.
        tokio::join!(self.follow(&stop), self.take_up_rebuild(&stop).boxed());
        info!(projection = self.name(), at = %self.position(), "projection stopped");
    }

    async fn follow(&self, stop: &CancellationToken) {
        let mut changes = self.inner.live.core.log.changes();
        let mut looked: Option<Instant> = None;
        while !stop.is_cancelled() {
            changes.borrow_and_update();
            if looked.is_none_or(|at| at.elapsed() >= LOOK) {
                // A store that is out is told by the step below.
                let _ = self.look_for_a_pause().await;
                looked = Some(Instant::now());
            }
            if self.inner.paused.load(Ordering::Relaxed) {
                self.stand_still(ProjectionState::Paused, None, Until::Resumed, stop)
                    .await;
                looked = None;
                continue;
            }
            match self.step().await {
                Ok(Step::Applied | Step::Moved) => self.go_on(*changes.borrow()),
                Ok(Step::AtHead) => {
                    self.go_on(self.position());
                    let inline = self.is_inline();
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.inner.poke.notified() => looked = None,
                        // A log whose hints have ended is looked at from time to time, and so is what came past the
                        // transactions that apply it themselves.
                        Ok(()) = changes.changed(), if !inline => {}
                        () = tokio::time::sleep(LOOK) => {}
                    }
                }
                Err(reason) if reason.halts() => self.halt(&reason, stop).await,
                Err(reason) => {
                    warn!(projection = self.name(), %reason, "projection waits");
                    self.enter(ProjectionState::Waiting, Some(reason.to_string()));
                    self.measure_for_the_metrics().await;
                    unless(stop, tokio::time::sleep(RECOVER)).await;
                }
            }
        }
    }

    fn go_on(&self, head: Position) {
        self.enter(self.at_work(), None);
        if let Some(meter) = self.inner.live.core.meter.get() {
            let behind = head.0 - self.position().0;
            meter.lag(behind, if behind > 0 { meter.seconds() } else { 0 });
        }
    }

    /// Says why it halted, durably and at once, and stays until somebody acts.
    async fn halt(&self, reason: &ProjectorError, stop: &CancellationToken) {
        error!(projection = self.name(), %reason, "projection halted");
        let event = match self.note_halt(reason).await {
            Ok(event) => event,
            Err(error) => {
                warn!(projection = self.name(), %error, "the halt could not be noted");
                None
            }
        };
        let reason = Some(reason.to_string());
        let until = Until::WantedAgain(event);
        self.stand_still(ProjectionState::Halted, reason, until, stop)
            .await;
    }

    /// The entry it halted at, among the dead letters: for other processes and the operator.
    pub(super) async fn note_halt(
        &self,
        reason: &ProjectorError,
    ) -> Result<Option<Uuid>, ProjectorError> {
        let ProjectorError::Poison { position, reason } = reason else {
            return Ok(None);
        };
        let live = &self.inner.live;
        let Some(entry) = live.core.entry(*position).await? else {
            return Ok(None);
        };
        let (name, log) = (&live.target.name, live.core.log.id());
        let (sql, params) = parked::insert(name, log, &entry, reason);
        live.target.db.exec(&sql, params).await?;
        Ok(Some(entry.id))
    }

    /// Whether the entry it halted at was made due again, or taken away.
    async fn wanted_again(&self, event: Uuid) -> bool {
        let target = &self.inner.live.target;
        let found = parked::find(&target.db, &target.name, event).await;
        found.is_ok_and(|found| found.is_none_or(|parked: ParkedEntry| parked.due))
    }

    /// Stays in a state until told to stop, poked, or what it waits for has come.
    async fn stand_still(
        &self,
        state: ProjectionState,
        reason: Option<String>,
        until: Until,
        stop: &CancellationToken,
    ) {
        // From before it is said: who reads it may poke at once.
        let mut poked = std::pin::pin!(self.inner.poke.notified());
        poked.as_mut().enable();
        self.enter(state, reason);
        loop {
            self.measure_for_the_metrics().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = poked.as_mut() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            if self.is_over(until).await {
                return;
            }
        }
    }

    async fn is_over(&self, until: Until) -> bool {
        match until {
            Until::Resumed => {
                let looked = self.look_for_a_pause().await;
                looked.is_ok() && !self.inner.paused.load(Ordering::Relaxed)
            }
            Until::WantedAgain(Some(event)) => self.wanted_again(event).await,
            // No entry that could be made due again: another process may have mended the rows.
            Until::WantedAgain(None) => matches!(self.sound_position().await, Ok(Some(_))),
        }
    }

    /// Whether an operator has paused it, here or in another process.
    pub(super) async fn look_for_a_pause(&self) -> Result<(), SqlError> {
        let name = name_of(self.name(), "paused");
        let kept = stored(self.db(), &name).await?;
        self.inner.paused.store(!kept.is_empty(), Ordering::Relaxed);
        Ok(())
    }

    async fn measure_for_the_metrics(&self) {
        let Some(meter) = self.inner.live.core.meter.get() else {
            return;
        };
        if let Ok(lag) = self.measure(self.position()).await {
            meter.lag(lag.positions, lag.seconds);
        }
    }

    /// How far rows at `at` are behind the log.
    pub(super) async fn measure(&self, at: Position) -> Result<Lag, LogError> {
        let core = &self.inner.live.core;
        let head = core.log.head().await?;
        let next = core.log.read(at, &core.projection.filter(), 1).await?;
        let since = next
            .first()
            .map(|entry| clock::now().duration_since(entry.at));
        // Entries that it does not want are nobody's to move an inline one past.
        let nothing_left = self.is_inline() && next.is_empty();
        Ok(Lag {
            head,
            positions: if nothing_left {
                0
            } else {
                (head.0 - at.0).max(0)
            },
            seconds: since.map_or(0, |since| since.as_secs().max(0)),
        })
    }
}
