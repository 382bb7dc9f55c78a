use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use stanchion_eventsourcing::{Checkpoint, Pages, Position, Recorded, own_checkpoint};
use tokio::time::Instant;
use uuid::Uuid;

use super::apply::Applier;
use super::{ProjectorError, parked};

/// The fewest and the most entries in one batch: small while it keeps up, large while it catches up.
const BATCH: (usize, usize) = (100, 10_000);

/// How often entries that were made due again are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// The longest pause after some could not be tried.
const LOOK_LAST: Duration = Duration::from_secs(60);

/// Where a projection's rows are, and how it goes on from there.
pub(super) struct Place {
    pub(super) at: Checkpoint,
    pub(super) pages: Pages,
    pub(super) parked: Parked,
    /// What is said above may no longer be so.
    pub(super) stale: bool,
}

/// What is put aside, as far as applying depends on it.
pub(super) struct Parked {
    /// Streams whose later entries wait behind an earlier one.
    pub(super) streams: HashSet<String>,
    pub(super) count: usize,
    /// The entry it halted at: its row goes when the projection gets past it.
    pub(super) halted: Option<(Uuid, Position)>,
    /// When due ones were last looked for.
    pub(super) looked: Option<Instant>,
    /// Why that came to nothing.
    pub(super) trouble: Option<Trouble>,
}

/// Due entries could not be read or tried: others go on meanwhile.
#[derive(Clone)]
pub(super) struct Trouble {
    pub(super) reason: String,
    /// How long it waits before it tries them again.
    pub(super) pause: Duration,
    pub(super) since: Instant,
}

impl Applier {
    /// Where the rows are; before the first entry if they never were anywhere.
    pub(super) async fn load(&self) -> Result<Place, ProjectorError> {
        self.load_until(None).await
    }

    pub(super) async fn load_until(&self, last: Option<Position>) -> Result<Place, ProjectorError> {
        let at = self.stored().await?;
        let core = &self.core;
        let filter = core.projection.filter();
        let pages = Pages::new(Arc::clone(&core.log), filter, at, BATCH);
        let pages = match last {
            Some(last) => pages.until(last),
            None => pages,
        };
        let parked = self.load_parked(at.position).await?;
        Ok(Place {
            at,
            pages,
            parked,
            stale: false,
        })
    }

    /// Looks again where the rows are.
    pub(super) async fn refresh(&self, place: &mut Place) -> Result<(), ProjectorError> {
        let at = self.stored().await?;
        self.refresh_parked(place, at.position).await?;
        place.pages.go_on_from(at);
        place.at = at;
        place.stale = false;
        Ok(())
    }

    async fn stored(&self) -> Result<Checkpoint, ProjectorError> {
        let log = self.core.log.id();
        let kept = self.target.checkpoints().await?;
        if let Some(own) = own_checkpoint(&kept, log)? {
            return Ok(own);
        }
        if self.target.replay {
            // They were made with one: another process has swapped them in, or given them up.
            let gone = "the tables beside the live ones are gone: another process was at them";
            return Err(ProjectorError::Refused(gone.into()));
        }
        self.target.start(log).await?;
        Ok(Checkpoint::start(log))
    }

    /// Somebody may have discarded or retried some; how long it waits is not forgotten.
    pub(super) async fn refresh_parked(
        &self,
        place: &mut Place,
        at: Position,
    ) -> Result<(), ProjectorError> {
        let parked = self.load_parked(at).await?;
        let trouble = place.parked.trouble.take();
        place.parked = parked;
        place.parked.trouble = trouble.filter(|_| place.parked.count > 0);
        Ok(())
    }

    async fn load_parked(&self, at: Position) -> Result<Parked, ProjectorError> {
        let rows = parked::list(&self.target.db, &self.target.name).await?;
        let halted = rows.iter().find(|row| row.position > at);
        let halted = halted.map(|row| (row.event, row.position));
        let behind: Vec<_> = rows.iter().filter(|row| row.position <= at).collect();
        if let Some(meter) = self.meter() {
            meter.parked(behind.len());
        }
        Ok(Parked {
            streams: behind.iter().map(|row| row.stream.clone()).collect(),
            count: behind.len(),
            halted,
            looked: None,
            trouble: None,
        })
    }
}

impl Parked {
    pub(super) fn wants_a_look(&self) -> bool {
        let looked_just_now = self.looked.is_some_and(|at| at.elapsed() < LOOK);
        let waits = |trouble: &Trouble| trouble.since.elapsed() < trouble.pause;
        !self.streams.is_empty() && !looked_just_now && !self.trouble.as_ref().is_some_and(waits)
    }

    /// They are tried again after a pause that doubles each time.
    pub(super) fn met_trouble(&mut self, reason: String) {
        let before = self.trouble.take().map(|trouble| trouble.pause);
        self.trouble = Some(Trouble {
            reason,
            pause: before.map_or(LOOK, |pause| (pause * 2).min(LOOK_LAST)),
            since: Instant::now(),
        });
    }

    pub(super) fn holds_back(&self, entry: &Recorded) -> bool {
        !self.streams.is_empty() && self.streams.contains(&entry.stream.to_string())
    }
}
