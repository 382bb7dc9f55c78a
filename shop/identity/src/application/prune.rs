use jiff::Timestamp;
use stanchion::runtime::clock;

use super::{Failure, Identity};

/// The most sessions deleted by one transaction.
const BATCH: u64 = 500;

impl Identity {
    /// Deletes a batch of sessions and mails' tokens that ended long ago; whether there may be more.
    pub(crate) async fn prune_sessions(&self) -> Result<bool, Failure> {
        let before = clock::now().saturating_sub(self.ended_sessions_kept);
        let before = before.unwrap_or(Timestamp::MIN);
        let transaction = self.db.begin();
        let pruned = self.sessions.prune(&transaction, before, BATCH).await?;
        let tokens = self.one_time.prune(&transaction, before, BATCH).await?;
        transaction.commit().await?;
        Ok(pruned == BATCH || tokens >= BATCH)
    }
}
