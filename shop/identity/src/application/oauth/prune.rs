use jiff::{SignedDuration, Timestamp};
use stanchion::runtime::clock;

use crate::application::{Failure, Identity};

/// So long expired codes and void tokens are kept: longer than clocks can differ.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

impl Identity {
    /// Deletes codes that nobody used and void tokens that would have ended by themselves.
    pub(crate) async fn prune_codes(&self) -> Result<(), Failure> {
        let before = clock::now().saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
        let transaction = self.db.begin();
        self.oauth.codes.prune(&transaction, before).await?;
        transaction.commit().await?;
        Ok(())
    }
}
