//! Verification: the log is replayed into tables beside the live ones, and the rows are compared.

use std::sync::Arc;

use stanchion_eventsourcing::Verified;
use tracing::info;

use super::apply::Applier;
use super::compare::{Side, compare};
use super::shadow::Shadow;
use super::{Projector, ProjectorError};
use crate::{Engine, Tx, params};

/// How often it is tried while another process keeps moving the live rows.
const TRIES_MAX: u32 = 10;

/// PostgreSQL: how long the transaction that holds the live rows still may be idle.
const HOLD_SECONDS: u32 = 600;

impl Projector {
    /// Replays the log into rows of its own and compares them with the live ones, row by row.
    ///
    /// The projection is read and kept up to date during the replay; it stands still while rows are compared (about as
    /// long as reading its tables twice), and readers do not wait at all. SQLite: the replay is in a temporary file.
    ///
    /// # Errors
    /// See [`ProjectorError`]; [`ProjectorError::Refused`] for a projection without
    /// [`Projection::tables`](stanchion_eventsourcing::Projection::tables) or a table without a primary key.
    pub async fn verify(&self) -> Result<Verified, ProjectorError> {
        let turn = self.turn().await?;
        turn.take(self.verify_alone()).await
    }

    async fn verify_alone(&self) -> Result<Verified, ProjectorError> {
        let shadow = Shadow::fresh(&self.inner.live).await?;
        let applier = Applier::new(Arc::clone(&self.inner.live.core), shadow.target());
        let verified = self.verify_against(&shadow, &applier).await;
        shadow.remove().await?;
        if let Ok(verified) = &verified {
            // Without the rows, which may hold what must not be in a log.
            let (rows, different) = (verified.rows, verified.different);
            info!(projection = self.name(), at = %verified.position, rows, different, "verified");
        }
        verified
    }

    async fn verify_against(
        &self,
        shadow: &Shadow,
        applier: &Applier,
    ) -> Result<Verified, ProjectorError> {
        // The most of it, before anything stands still.
        self.replay_until(applier, self.stored_position().await?)
            .await?;
        for _ in 0..TRIES_MAX {
            let _gate = self.inner.gate.lock().await;
            // Comparing takes long: no append waits for that. Moved meanwhile, it is done again.
            let hold = match self.is_inline() {
                true => None,
                false => self.hold_still().await?,
            };
            let at = self.stored_position().await?;
            self.replay_until(applier, at).await?;
            let mut found = Verified {
                position: at,
                rows: 0,
                different: 0,
                examples: Vec::new(),
            };
            for table in self.inner.live.core.projection.tables() {
                let (db, replayed) = shadow.table(table);
                let live = format!("\"{table}\"");
                let live = Side {
                    db: self.db(),
                    table: &live,
                };
                let replayed = Side {
                    db,
                    table: &replayed,
                };
                compare(table, live, replayed, &mut found).await?;
            }
            let still = self.stored_position().await? == at;
            if let Some(hold) = hold {
                hold.rollback().await?;
            }
            if still {
                return Ok(found);
            }
        }
        let busy = "somebody keeps moving the live rows: pause the projection, then verify";
        Err(ProjectorError::Refused(busy.into()))
    }

    /// Keeps projectors and appends of other processes from moving the rows. SQLite has no other process.
    pub(super) async fn hold_still(&self) -> Result<Option<Tx>, ProjectorError> {
        let target = &self.inner.live.target;
        if target.db.engine() == Engine::Sqlite {
            return Ok(None);
        }
        let tx = target.db.begin();
        let longest = format!("set local idle_in_transaction_session_timeout = '{HOLD_SECONDS}s'");
        tx.queue(&longest, params![]);
        let lock = "select 1 from checkpoint where name = $1 for update";
        tx.query(lock, params![target.name.as_str()]).await?;
        Ok(Some(tx))
    }
}
