use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;

use super::{Failure, Identity, Work, Written, retried};
use crate::domain::{Event, SessionEnd, Status, User};

impl Identity {
    /// Suspends a user, as it was read, and ends its sessions; or makes it active again.
    pub(crate) async fn change_status(
        &self,
        user: &User,
        status: Status,
        metadata: &Metadata,
    ) -> Result<Written<User>, Failure> {
        let mut changed = user.clone();
        let Some(from) = changed.set_status(status, clock::now()) else {
            return Ok(Written::unchanged(changed));
        };
        let event = Event::StatusChanged {
            user_id: user.id,
            from,
            to: status,
        };
        let written = retried(|| self.save_status(&changed, &event, metadata)).await?;
        self.live.forget_user(user.id);
        Ok(written)
    }

    async fn save_status(
        &self,
        user: &User,
        event: &Event,
        metadata: &Metadata,
    ) -> Result<Written<User>, Failure> {
        let mut work = Work::begin(&self.db, metadata);
        let suspended = user.status == Status::Suspended;
        if suspended {
            self.keep_an_admin(&work, user).await?;
        }
        self.users.update(work.rows(), user).await?;
        work.record(event)?;
        if suspended {
            self.end_all(&mut work, user.id, SessionEnd::UserSuspended)
                .await?;
        }
        let position = work.commit().await?;
        Ok(Written {
            value: user.clone(),
            position,
        })
    }
}
