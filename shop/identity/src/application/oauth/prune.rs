use jiff::{SignedDuration, Timestamp};
use stanchion::runtime::clock;

use crate::application::{Failure, Identity};

/// So long expired codes and void tokens are kept: longer than clocks can differ.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The most rows of a table that one transaction deletes.
const BATCH: i64 = 500;

impl Identity {
    /// Deletes a batch of codes that nobody used and of void tokens that would have ended by themselves; whether there
    /// may be more.
    pub(crate) async fn prune_codes(&self) -> Result<bool, Failure> {
        let before = clock::now().saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
        let transaction = self.db.begin();
        let codes = &self.oauth.codes;
        let pruned = codes.prune(&transaction, before, BATCH).await?;
        transaction.commit().await?;
        Ok(pruned >= BATCH.unsigned_abs())
    }
}
