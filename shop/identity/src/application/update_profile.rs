use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;

use super::{Failure, Identity, Work, Written, retried};
use crate::domain::{Event, Profile, User};

impl Identity {
    /// Gives a user, as it was read, another profile; stale if somebody else was faster.
    pub(crate) async fn update_profile(
        &self,
        user: &User,
        profile: Profile,
        metadata: &Metadata,
    ) -> Result<Written<User>, Failure> {
        let mut changed = user.clone();
        let fields = changed.describe(profile, clock::now());
        if fields.is_empty() {
            return Ok(Written::unchanged(changed));
        }
        let event = Event::UserUpdated {
            user_id: user.id,
            fields,
        };
        retried(|| self.save(&changed, &event, metadata)).await
    }

    async fn save(
        &self,
        user: &User,
        event: &Event,
        metadata: &Metadata,
    ) -> Result<Written<User>, Failure> {
        let mut work = Work::begin(&self.db, metadata);
        self.users.update(work.rows(), user).await?;
        work.record(event)?;
        let position = work.commit().await?;
        Ok(Written {
            value: user.clone(),
            position,
        })
    }
}
