//! Addresses that users have left: what is chosen with but a token must not decide who sets the next password.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use shop_kernel::UserId;
use stanchion::runtime::clock;
use stanchion::sql::Query;
use uuid::Uuid;

use super::one_time::Bearer;
use super::{Failure, Identity, Refusal, Work};
use crate::domain::{Email, Event, Profile, User};

/// So long an address is held after its user left it.
pub(crate) const HELD_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How often at most that begins anew of one address.
pub(crate) const HELD_ANEW_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// So many letters at most tell it of changes.
pub(crate) const TOLD_MAX: i64 = 5;

/// The address that a user left first of those that are still held.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FormerEmail {
    pub(crate) user: UserId,
    pub(crate) email: Email,
    /// It was the user's. One that was not could be anybody's, as one is that was mistyped.
    pub(crate) is_proved: bool,
    pub(crate) held_until: Timestamp,
}

/// Where they are kept; those that are held no more are not found.
#[async_trait]
pub(crate) trait FormerEmailRepository: Send + Sync {
    /// Keeps it, unless the user has another one that is still held at that time. Of the same one it begins anew, if the last
    /// time is [`HELD_ANEW_EVERY`] ago or it was not proved then.
    async fn keep(
        &self,
        on: &dyn Query,
        former: &FormerEmail,
        now: Timestamp,
    ) -> Result<(), Failure>;

    /// The one that a user left.
    async fn of(
        &self,
        on: &dyn Query,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<FormerEmail>, Failure>;

    /// The one of that key, if it was its user's.
    async fn proved(
        &self,
        on: &dyn Query,
        email_key: &str,
        now: Timestamp,
    ) -> Result<Option<FormerEmail>, Failure>;

    /// Notes that this mail tells a user's former address of a change; whether it may: since it was left fewer than
    /// [`TOLD_MAX`] others did.
    async fn tell(
        &self,
        on: &dyn Query,
        user: UserId,
        mail: Uuid,
        now: Timestamp,
    ) -> Result<bool, Failure>;

    /// Holds nothing of a user any more.
    async fn forget(&self, on: &dyn Query, user: UserId) -> Result<(), Failure>;

    /// Deletes what was held until before then, at most `limit`; how many.
    async fn prune(&self, on: &dyn Query, before: Timestamp, limit: u64) -> Result<u64, Failure>;
}

impl Identity {
    /// What another user has left is that one's for as long as it is held.
    pub(super) async fn refuse_held(&self, on: &dyn Query, user: &User) -> Result<(), Failure> {
        let key = user.profile.email.key();
        let held = self.former_emails.proved(on, &key, clock::now()).await?;
        match held {
            Some(held) if held.user != user.id => Err(Refusal::EmailTaken.into()),
            _ => Ok(()),
        }
    }

    /// Holds the address that a user leaves by its own wish, which may be the wish of whoever has stolen a token. Somebody else
    /// who may change it knows why, and nothing is held.
    pub(super) async fn leave_address(
        &self,
        on: &dyn Query,
        before: &User,
        after: &User,
        is_own_wish: bool,
    ) -> Result<(), Failure> {
        let (left, next) = (&before.profile.email, &after.profile.email);
        if left.key() == next.key() {
            return Ok(());
        }
        self.refuse_held(on, after).await?;
        if !is_own_wish {
            return self.former_emails.forget(on, after.id).await;
        }
        let now = clock::now();
        let bearer = |email: &Email| Bearer {
            user: after.id,
            email_key: email.key(),
        };
        let held = self.former_emails.of(on, after.id, now).await?;
        match held {
            // It is back, and as good as it was; it stays held, and within a day nothing begins anew with it.
            Some(held) if held.email.key() == next.key() => match held.is_proved {
                true => self.one_time.verify(on, &bearer(next), now).await,
                false => Ok(()),
            },
            Some(held) if held.email.key() != left.key() => Ok(()),
            // Left the first time, or once more: a hold that was begun days ago must not be over in a moment.
            _ => {
                let proved = self.one_time.verified_at(on, &bearer(left)).await?;
                let former = FormerEmail {
                    user: after.id,
                    email: left.clone(),
                    is_proved: proved.is_some(),
                    held_until: now.saturating_add(HELD_FOR).unwrap_or(now),
                };
                self.former_emails.keep(on, &former, now).await
            }
        }
    }

    /// A letter's token was taken: of the address that was left it gives that address back.
    pub(super) async fn give_address_back(
        &self,
        work: &mut Work<'_>,
        bearer: &Bearer,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let found = self.users.find_by_id(work.rows(), bearer.user).await?;
        let mut user = found.ok_or(Refusal::BadOneTimeToken)?;
        if user.profile.email.key() != bearer.email_key {
            let held = self.former_emails.of(work.rows(), user.id, now).await?;
            let held = held.filter(|held| held.email.key() == bearer.email_key);
            let profile = Profile {
                email: held.ok_or(Refusal::BadOneTimeToken)?.email,
                ..user.profile.clone()
            };
            let fields = user.describe(profile, now);
            self.users.update(work.rows(), &user).await?;
            work.record(&Event::UserUpdated {
                user_id: user.id,
                fields,
            })?;
        }
        self.former_emails.forget(work.rows(), user.id).await
    }
}
