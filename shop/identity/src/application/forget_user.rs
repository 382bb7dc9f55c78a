use shop_kernel::UserId;
use stanchion::eventsourcing::{Metadata, SubjectsError};
use stanchion::sql::SqlInbox;

use super::{Failure, Identity, Refusal, Work, retried};

/// How often a user is deleted anew that somebody changes meanwhile.
const DELETE_MAX: usize = 5;

impl Identity {
    /// Leaves nothing of a user but the id, when it was there and in which roles: deletes it if that is still to be done,
    /// then blanks its row, deletes its sessions with their devices and addresses, and the kept answers that show it.
    ///
    /// After a failure some of it may be done; a repeat does the rest.
    ///
    /// # Errors
    /// [`SubjectsError::Refused`] for a user that never was and for the last administrator.
    pub async fn forget(&self, id: UserId, metadata: &Metadata) -> Result<(), SubjectsError> {
        let forgotten = self.forget_rows(id, metadata).await;
        forgotten.map_err(|failure| match failure {
            Failure::Refused(Refusal::UserNotFound) => {
                SubjectsError::Refused(format!("there is no user {id}, and never was"))
            }
            Failure::Refused(refusal) => SubjectsError::Refused(refusal.to_string()),
            failure => SubjectsError::Unavailable(failure.to_string()),
        })
    }

    async fn forget_rows(&self, id: UserId, metadata: &Metadata) -> Result<(), Failure> {
        self.delete_if_living(id, metadata).await?;
        retried(|| self.erase(id, metadata)).await?;
        let inbox = SqlInbox::new(self.db.clone());
        inbox.forget_answers(&id.to_string()).await?;
        Ok(())
    }

    async fn delete_if_living(&self, id: UserId, metadata: &Metadata) -> Result<(), Failure> {
        for _ in 0..DELETE_MAX {
            let Some(user) = self.users.find_by_id(&self.db, id).await? else {
                return Ok(());
            };
            match self.delete_user(&user, metadata).await {
                Err(Failure::Refused(Refusal::Stale)) => {}
                deleted => return deleted.map(drop),
            }
        }
        Err(Refusal::Stale.into())
    }

    async fn erase(&self, id: UserId, metadata: &Metadata) -> Result<(), Failure> {
        let work = Work::begin(&self.db, metadata);
        self.sessions.erase(work.rows(), id).await?;
        self.one_time.erase(work.rows(), id).await?;
        self.former_emails.forget(work.rows(), id).await?;
        self.api_keys.erase(work.rows(), id).await?;
        self.users.erase(work.rows(), id).await?;
        work.commit().await.map(drop)
    }
}
