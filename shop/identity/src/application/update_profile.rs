use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;

use super::{Failure, Identity, Work, Written, retried};
use crate::domain::user::Field;
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
        let other_address = fields.contains(&Field::Email) && self.post.is_some();
        let updated = Event::UserUpdated {
            user_id: user.id,
            fields,
        };
        let asked = Event::VerificationAsked { user_id: user.id };
        let events = [updated, asked];
        let events = &events[..if other_address { 2 } else { 1 }];
        retried(|| self.save(&changed, events, metadata)).await
    }

    async fn save(
        &self,
        user: &User,
        events: &[Event],
        metadata: &Metadata,
    ) -> Result<Written<User>, Failure> {
        let mut work = Work::begin(&self.db, metadata);
        self.users.update(work.rows(), user).await?;
        for event in events {
            work.record(event)?;
        }
        let position = work.commit().await?;
        Ok(Written {
            value: user.clone(),
            position,
        })
    }
}
