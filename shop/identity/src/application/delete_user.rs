use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;

use super::{Failure, Identity, Work, Written, retried};
use crate::domain::{Event, SessionEnd, User};

impl Identity {
    /// Deletes a user, as it was read: its sessions end, its addresses and username are free again.
    pub(crate) async fn delete_user(
        &self,
        user: &User,
        metadata: &Metadata,
    ) -> Result<Written<()>, Failure> {
        let written = retried(|| self.remove(user, metadata)).await?;
        self.live.forget_user(user.id);
        Ok(written)
    }

    async fn remove(&self, user: &User, metadata: &Metadata) -> Result<Written<()>, Failure> {
        let mut work = Work::begin(&self.db, metadata);
        self.keep_an_admin(&work, user).await?;
        self.users.delete(work.rows(), user, clock::now()).await?;
        self.former_emails.forget(work.rows(), user.id).await?;
        work.record(&Event::UserDeleted { user_id: user.id })?;
        self.end_all(&mut work, user.id, SessionEnd::UserDeleted)
            .await?;
        let position = work.commit().await?;
        Ok(Written {
            value: (),
            position,
        })
    }
}
