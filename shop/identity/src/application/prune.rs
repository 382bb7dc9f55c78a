use jiff::{SignedDuration, Timestamp};
use stanchion::runtime::clock;

use super::{Failure, Identity};

/// How long an ended session is kept, so that a late reuse of its tokens is still told from a random one.
const KEEP_ENDED: SignedDuration = SignedDuration::from_hours(24 * 7);

/// The most sessions deleted by one transaction.
const BATCH: u64 = 500;

impl Identity {
    /// Deletes a batch of sessions that ended long ago; whether there may be more.
    pub(crate) async fn prune_sessions(&self) -> Result<bool, Failure> {
        let before = clock::now().saturating_sub(KEEP_ENDED);
        let before = before.unwrap_or(Timestamp::MIN);
        let transaction = self.db.begin();
        let pruned = self.sessions.prune(&transaction, before, BATCH).await?;
        transaction.commit().await?;
        Ok(pruned == BATCH)
    }
}
