use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;

use super::{Failure, Identity, Work, Written, retried};
use crate::domain::user::Field;
use crate::domain::{Event, Profile, User};

impl Identity {
    /// Gives a user, as it was read, another profile, by its own wish or somebody else's; stale if somebody else was faster.
    pub(crate) async fn update_profile(
        &self,
        user: &User,
        profile: Profile,
        is_own_wish: bool,
        metadata: &Metadata,
    ) -> Result<Written<User>, Failure> {
        let mut changed = user.clone();
        let fields = changed.describe(profile, clock::now());
        if fields.is_empty() {
            return Ok(Written::unchanged(changed));
        }
        let asks_proof = fields.contains(&Field::Email) && self.post.is_some();
        let updated = Event::UserUpdated {
            user_id: user.id,
            fields,
        };
        let asked = Event::VerificationAsked { user_id: user.id };
        let events = [asked, updated];
        let events = &events[usize::from(!asks_proof)..];
        retried(|| async {
            let mut work = Work::begin(&self.db, metadata);
            self.users.update(work.rows(), &changed).await?;
            self.leave_address(work.rows(), user, &changed, is_own_wish)
                .await?;
            for event in events {
                work.record(event)?;
            }
            let position = work.commit().await?;
            Ok(Written {
                value: changed.clone(),
                position,
            })
        })
        .await
    }
}
