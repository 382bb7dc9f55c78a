//! The end of a rebuild: the new rows take the place of the live ones.

use std::sync::Arc;

use stanchion_eventsourcing::Position;
use tracing::{info, warn};

use super::apply::Applier;
use super::rebuild::{FAILURES_MAX, RECOVER};
use super::shadow::{Shadow, Way};
use super::turn::Fence;
use super::{Projector, ProjectorError};
use crate::SqlError;

/// How often the swap is tried while somebody keeps moving the live rows, or reading their tables.
const SWAPS_MAX: u32 = 20;

/// After so many of them rows are copied, where the tables could not change places.
const PLACES_MAX: u32 = 10;

/// How often a replay goes to where the live rows are before they have to stand still for the rest of it.
const APPROACHES: u32 = 3;

impl Projector {
    pub(super) async fn rebuild_beside(&self, fence: &Fence) -> Result<Position, ProjectorError> {
        let live = &self.inner.live;
        let shadow = Shadow::open(live).await?;
        let applier = Applier::new(Arc::clone(&live.core), shadow.target());
        let from = applier.load().await?.at.position;
        info!(projection = self.name(), %from, "rebuilding");
        let head = live.core.log.head().await?;
        self.approach(&applier, head).await?;
        let mut way = self.prepared(&shadow).await?;
        for swap in 0..SWAPS_MAX {
            if swap >= PLACES_MAX {
                way = Way::Rows;
            }
            // Each time it is less that came meanwhile.
            for _ in 1..APPROACHES {
                self.approach(&applier, head).await?;
            }
            // From here on the live rows stand still, in this process and then in every other.
            let mut gate = self.inner.gate.lock().await;
            let appends = self.hold_appends().await;
            let hold = match self.hold_still().await {
                Ok(hold) => hold,
                Err(error) => {
                    warn!(projection = self.name(), %error, "the swap is tried again");
                    drop((gate, appends));
                    tokio::time::sleep(RECOVER).await;
                    continue;
                }
            };
            let sound = self.sound_position().await?;
            let place = self.replay_until(&applier, sound.unwrap_or(head)).await?;
            let swapped = shadow.swap(hold, fence, (&place.at, sound.is_some()), way);
            match swapped.await {
                Ok(true) => {
                    *gate = None;
                    self.publish(place.at.position);
                    self.try_again();
                    shadow.forget().await;
                    info!(projection = self.name(), at = %place.at.position, ?way, "rebuilt and swapped");
                    return Ok(place.at.position);
                }
                Ok(false) => {}
                // Something refers to a live table as it is.
                Err(SqlError::Usage(reason)) if way == Way::Tables => {
                    warn!(
                        projection = self.name(),
                        reason, "the rows are copied instead"
                    );
                    way = Way::Rows;
                }
                Err(error) if error.is_retryable() => {
                    warn!(projection = self.name(), %error, "the swap is tried again");
                }
                Err(error) => return Err(error.into()),
            }
            drop((gate, appends));
            tokio::time::sleep(RECOVER / 10).await;
        }
        let busy = "somebody keeps moving the live rows: pause the projection, then rebuild";
        Err(ProjectorError::Refused(busy.into()))
    }

    /// Brings the new rows to where the live ones are now.
    async fn approach(&self, applier: &Applier, head: Position) -> Result<(), ProjectorError> {
        let to = self.sound_position().await?.unwrap_or(head);
        self.replay_until(applier, to).await.map(drop)
    }

    /// Which way the swap can go, with all that can be done for it before.
    async fn prepared(&self, shadow: &Shadow) -> Result<Way, ProjectorError> {
        let mut failures = 0;
        loop {
            match shadow.prepare().await {
                Err(error) if error.is_retryable() && failures < FAILURES_MAX => {
                    failures += 1;
                    warn!(projection = self.name(), %error, "the swap waits");
                    tokio::time::sleep(RECOVER).await;
                }
                prepared => return prepared.map_err(ProjectorError::from),
            }
        }
    }
}
