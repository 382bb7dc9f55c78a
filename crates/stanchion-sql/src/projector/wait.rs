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
            // Transactions of other processes move an inline one, and who runs it looks only now and then.
            if self.is_running() && !self.is_inline() {
                // Also ends when it stops running here.
                let _ = seen.changed().await;
                continue;
            }
            if self.look_at_the_store(position).await? {
                return Ok(());
            }
            let _ = tokio::time::timeout(pause, seen.changed()).await;
            pause = (pause * 2).min(LOOK_LAST);
        }
    }

    /// Whether the rows are so far by the stored checkpoint; an error if the projection halted before.
    async fn look_at_the_store(&self, wanted: Position) -> Result<bool, String> {
        let live = &self.inner.live;
        // A store that is out is asked again until the deadline.
        let Ok(kept) = live.target.checkpoints().await else {
            return Ok(false);
        };
        let log = live.core.log.id();
        let own = own_checkpoint(&kept, log).map_err(|error| error.to_string())?;
        let at = own.map_or(Position::START, |own| own.position);
        self.publish(at);
        if at >= wanted || self.wants_nothing_until(at, wanted).await {
            return Ok(true);
        }
        let rows = parked::list(&live.target.db, &live.target.name).await;
        let halted = rows.unwrap_or_default().into_iter();
        match halted.into_iter().find(|row| row.position > at && !row.due) {
            Some(row) => Err(format!(
                "halted at position {}: {}",
                row.position, row.reason
            )),
            None => Ok(false),
        }
    }

    /// Nobody moves an inline one past entries that it does not want.
    async fn wants_nothing_until(&self, at: Position, wanted: Position) -> bool {
        let core = &self.inner.live.core;
        if !self.is_inline() {
            return false;
        }
        let next = core.log.read(at, &core.projection.filter(), 1).await;
        next.is_ok_and(|next| next.first().is_none_or(|next| next.position > wanted))
    }
}

fn answer(seen: &Seen, wanted: Position) -> Option<Result<(), String>> {
    if seen.at >= wanted {
        return Some(Ok(()));
    }
    let halted = seen.state == ProjectionState::Halted;
    halted.then(|| Err(seen.reason.clone().unwrap_or_default()))
}
