//! Waiting for the rows to include an entry: read your own write.

use std::time::Duration;

use stanchion_eventsourcing::{Position, ProjectionState, own_checkpoint};
use tokio::time::Instant;

use super::{Behind, Projector, Seen, parked};

/// Where another process runs the projection, its checkpoint is looked at: soon, then less and less often.
const LOOK_FIRST: Duration = Duration::from_millis(5);
const LOOK_LAST: Duration = Duration::from_millis(200);

impl Projector {
    /// Waits until the rows include the entry at `position`; in a process that does not run the projection by looking
    /// at its stored checkpoint, after 5 ms and ever less often up to 200 ms.
    ///
    /// # Errors
    /// [`Behind`]: that takes longer than until `deadline`, or, at once and with the reason, the projection halted.
    pub async fn wait_for(&self, position: Position, deadline: Instant) -> Result<(), Behind> {
        let reached = tokio::time::timeout_at(deadline, self.reach(position)).await;
        let halted = match reached {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(reason)) => Some(reason),
            Err(_) => None,
        };
        Err(Behind {
            at: self.position(),
            wanted: position,
            halted,
        })
    }

    async fn reach(&self, position: Position) -> Result<(), String> {
        let mut seen = self.inner.seen.subscribe();
        let mut pause = LOOK_FIRST;
        loop {
            if let Some(answer) = answer(&seen.borrow_and_update(), position) {
                return answer;
            }
            if self.is_running() {
                // Also ends when it stops running here.
                let _ = seen.changed().await;
                continue;
            }
            self.look_at_the_store(position).await?;
            let _ = tokio::time::timeout(pause, seen.changed()).await;
            pause = (pause * 2).min(LOOK_LAST);
        }
    }

    /// Where the projection is by its stored checkpoint, and whether it halted there.
    async fn look_at_the_store(&self, wanted: Position) -> Result<(), String> {
        let live = &self.inner.live;
        // A store that is out is asked again until the deadline.
        let Ok(kept) = live.target.checkpoints().await else {
            return Ok(());
        };
        let log = live.core.log.id();
        let own = own_checkpoint(&kept, log).map_err(|error| error.to_string())?;
        let at = own.map_or(Position::START, |own| own.position);
        self.publish(at);
        if at >= wanted {
            return Ok(());
        }
        let rows = parked::list(&live.target.db, &live.target.name).await;
        let halted = rows.unwrap_or_default().into_iter();
        match halted.into_iter().find(|row| row.position > at && !row.due) {
            Some(row) => Err(format!(
                "halted at position {}: {}",
                row.position, row.reason
            )),
            None => Ok(()),
        }
    }
}

fn answer(seen: &Seen, wanted: Position) -> Option<Result<(), String>> {
    if seen.at >= wanted {
        return Some(Ok(()));
    }
    let halted = seen.state == ProjectionState::Halted;
    halted.then(|| Err(seen.reason.clone().unwrap_or_default()))
}
