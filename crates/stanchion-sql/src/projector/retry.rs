//! Entries that were put aside, and made due again.

use stanchion_eventsourcing::{LogError, ProjectionError};
use tokio::time::Instant;
use tracing::warn;

use super::ProjectorError;
use super::apply::{Applier, Failed, apply_to, out};
use super::parked::{self, ParkedEntry};
use super::place::Place;

impl Applier {
    /// Tries what somebody made due again; whether anything was tried.
    pub(super) async fn retry_due(&self, place: &mut Place) -> Result<bool, ProjectorError> {
        // What is remembered of them holds entries back.
        let at = place.at.position;
        self.refresh_parked(place, at).await?;
        place.parked.looked = Some(Instant::now());
        let mut tried = false;
        loop {
            let mut due = parked::due(&self.target.db, &self.target.name).await?;
            // One beyond the checkpoint is what the projection halted at: going on tries it.
            due.retain(|parked| parked.position <= place.at.position);
            if due.is_empty() {
                place.parked.trouble = None;
                return Ok(tried);
            }
            for parked in &due {
                match self.retry(place, parked).await {
                    Ok(()) => tried = true,
                    Err(Failed::Moved) => return Ok(true),
                    // What came after them goes on: nobody waits for these but their own streams.
                    Err(Failed::Store(reason) | Failed::Poison(reason)) => {
                        warn!(projection = self.core.name(), position = %parked.position, reason, "a parked entry waits");
                        place.parked.met_trouble(reason);
                        return Ok(tried);
                    }
                }
            }
        }
    }

    async fn retry(&self, place: &Place, parked: &ParkedEntry) -> Result<(), Failed> {
        let lost = || format!("the log has lost the entry at {}", parked.position);
        let found = match self.core.entry(parked.position).await {
            Ok(found) => found
                .filter(|entry| entry.id == parked.event)
                .ok_or_else(lost),
            Err(LogError::Damaged { reason, .. }) => Err(reason),
            Err(LogError::Unavailable(reason)) => return Err(Failed::Store(reason)),
        };
        let entry = match found {
            Ok(entry) => entry,
            Err(reason) => {
                let reason = format!("it cannot be read: {reason}");
                warn!(projection = self.core.name(), position = %parked.position, reason, "a parked entry stays");
                let (db, name) = (&self.target.db, &self.target.name);
                let given_up = parked::give_up(db, name, parked.event, &reason).await;
                return given_up.map_err(out);
            }
        };
        let mut tx = self.target.begin();
        self.target.queue_move(&tx, &place.at, &place.at);
        parked::queue_delete(&tx, &self.target.name, parked.event);
        let done = match apply_to(
            &*self.core.projection,
            &mut tx,
            std::slice::from_ref(&entry),
        )
        .await
        {
            Ok(()) => tx.commit().await.map_err(ProjectionError::from),
            Err(error) => Err(error),
        };
        match self.judge(place, done).await {
            Err(Failed::Poison(reason)) => {
                let (sql, params) =
                    parked::insert(&self.target.name, place.at.log, &entry, &reason);
                self.target.db.exec(&sql, params).await.map_err(out)?;
                Ok(())
            }
            other => other,
        }
    }
}
