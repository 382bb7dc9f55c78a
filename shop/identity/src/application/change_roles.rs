use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;

use super::{Failure, Identity, Refusal, Work, Written, retried};
use crate::domain::{Event, Role, RoleSet, User};

impl Identity {
    /// Gives a user, as it was read, other roles; what it may no longer do ends within a second.
    pub(crate) async fn change_roles(
        &self,
        user: &User,
        roles: RoleSet,
        metadata: &Metadata,
    ) -> Result<Written<User>, Failure> {
        let mut changed = user.clone();
        let Some(from) = changed.assign(roles, clock::now()) else {
            return Ok(Written::unchanged(changed));
        };
        let event = Event::RolesChanged {
            user_id: user.id,
            from,
            to: changed.roles.clone(),
        };
        let written = retried(|| self.save_roles(&changed, &event, metadata)).await?;
        self.live.forget_user(user.id);
        Ok(written)
    }

    async fn save_roles(
        &self,
        user: &User,
        event: &Event,
        metadata: &Metadata,
    ) -> Result<Written<User>, Failure> {
        let mut work = Work::begin(&self.db, metadata);
        if !user.roles.has(Role::Admin) {
            self.keep_an_admin(&work, user).await?;
        }
        self.users.update(work.rows(), user).await?;
        self.sessions.new_epoch(work.rows(), user.id).await?;
        work.record(event)?;
        let position = work.commit().await?;
        Ok(Written {
            value: user.clone(),
            position,
        })
    }

    /// Refuses to take the last active administrator away: nobody could make another one.
    pub(super) async fn keep_an_admin(&self, work: &Work<'_>, user: &User) -> Result<(), Failure> {
        let admins = self.users.lock_admins(work.rows()).await?;
        if admins == [user.id] {
            return Err(Refusal::LastAdmin.into());
        }
        Ok(())
    }
}
