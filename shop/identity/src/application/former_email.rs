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

/// So many addresses of a user are held at most; who would leave one more is refused.
pub(crate) const HELD_MAX: usize = 5;

/// So many letters at most tell one of them of changes.
const TOLD_MAX: i64 = 5;

/// An address that a user left, and that is still held. Of several the one that was left first decides by whom a new password is
/// set; each later one was chosen, and perhaps proved, while nobody could know by whom.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FormerEmail {
    pub(crate) user: UserId,
    pub(crate) email: Email,
    /// It was the user's. One that was not could be anybody's, as one is that was mistyped.
    pub(crate) is_proved: bool,
    pub(crate) held_until: Timestamp,
    /// In this order they were left first.
    pub(crate) nth: i64,
    /// How many letters have told it of changes since it was left, and the last of them.
    pub(crate) told: i64,
    pub(crate) told_by: Option<Uuid>,
}

/// Where they are kept; those that are held no more are not found.
#[async_trait]
pub(crate) trait FormerEmailRepository: Send + Sync {
    /// Holds one that is not held yet.
    async fn hold(
        &self,
        on: &dyn Query,
        former: &FormerEmail,
        now: Timestamp,
    ) -> Result<(), Failure>;

    /// Begins anew with one that is held, if the last time is [`HELD_ANEW_EVERY`] ago or it was not proved then.
    async fn hold_anew(&self, on: &dyn Query, former: &FormerEmail) -> Result<(), Failure>;

    /// Holds one that is held until then, unless it is for longer.
    async fn hold_until(&self, on: &dyn Query, former: &FormerEmail) -> Result<(), Failure>;

    /// Those of a user, the one that was left first before the others.
    async fn held(
        &self,
        on: &dyn Query,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<FormerEmail>, Failure>;

    /// The one of that key, if it was its user's.
    async fn proved(
        &self,
        on: &dyn Query,
        email_key: &str,
        now: Timestamp,
    ) -> Result<Option<FormerEmail>, Failure>;

    /// Notes that this mail has told it of a change.
    async fn told(&self, on: &dyn Query, former: &FormerEmail, mail: Uuid) -> Result<(), Failure>;

    /// Holds nothing any more that a user left after the one of that key, if that one is held.
    async fn forget_later(
        &self,
        on: &dyn Query,
        user: UserId,
        email_key: &str,
        now: Timestamp,
    ) -> Result<(), Failure>;

    /// Holds nothing of a user any more.
    async fn forget(&self, on: &dyn Query, user: UserId) -> Result<(), Failure>;

    /// Deletes what was held until before then, at most `limit` of the first and of the later ones; how many.
    async fn prune(&self, on: &dyn Query, before: Timestamp, limit: u64) -> Result<u64, Failure>;
}

impl FormerEmail {
    pub(crate) fn is_of(&self, email: &Email) -> bool {
        self.email.key() == email.key()
    }

    /// Whether this mail is to tell it: there is an end to it, and what it has told once is not told again.
    pub(crate) fn wants(&self, mail: Uuid) -> bool {
        self.told < TOLD_MAX && self.told_by != Some(mail)
    }
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
        let held = self.former_emails.held(on, after.id, now).await?;
        let proved = self.one_time.verified_at(on, &bearer(before)).await?;
        let held_until = now.saturating_add(HELD_FOR).unwrap_or(now);
        if let Some(back) = held.iter().find(|one| one.is_of(next)) {
            // It is as good as it was, and held for as long as what is left for it: that decides nothing meanwhile.
            if back.is_proved {
                self.one_time.verify(on, &bearer(after), now).await?;
            }
            let back = FormerEmail {
                held_until,
                ..back.clone()
            };
            self.former_emails.hold_until(on, &back).await?;
        }
        let former = |nth| FormerEmail {
            user: after.id,
            email: left.clone(),
            is_proved: proved.is_some(),
            held_until,
            nth,
            told: 0,
            told_by: None,
        };
        // Left once more: a hold that was begun days ago must not be over in a moment.
        if let Some(again) = held.iter().find(|one| one.is_of(left)) {
            return self.former_emails.hold_anew(on, &former(again.nth)).await;
        }
        if held.len() < HELD_MAX {
            let nth = held.last().map_or(0, |last| last.nth + 1);
            return self.former_emails.hold(on, &former(nth), now).await;
        }
        // Whoever has used the room up must not keep the owner from going back to the one that decides.
        match held.first() {
            Some(first) if first.is_of(next) => Ok(()),
            _ => Err(Refusal::TooManyAddresses.into()),
        }
    }

    /// Whether the present address was put back, and others are held that were left after it: these end when it is proved.
    pub(super) async fn is_put_back(&self, user: &User) -> Result<bool, Failure> {
        let held = self.former_emails.held(&self.db, user.id, clock::now());
        let held = held.await?;
        let place = held.iter().position(|one| one.is_of(&user.profile.email));
        Ok(place.is_some_and(|place| place + 1 < held.len()))
    }

    /// A letter's token was taken: of the address that was left first it gives that address back, and no other is held any more.
    pub(super) async fn give_address_back(
        &self,
        work: &mut Work<'_>,
        bearer: &Bearer,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let found = self.users.find_by_id(work.rows(), bearer.user).await?;
        let mut user = found.ok_or(Refusal::BadOneTimeToken)?;
        if user.profile.email.key() != bearer.email_key {
            let held = self.former_emails.held(work.rows(), user.id, now).await?;
            let first = held.into_iter().next();
            let first = first.filter(|first| first.email.key() == bearer.email_key);
            let profile = Profile {
                email: first.ok_or(Refusal::BadOneTimeToken)?.email,
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

/// By whom the user's address is proved.
fn bearer(user: &User) -> Bearer {
    Bearer {
        user: user.id,
        email_key: user.profile.email.key(),
    }
}
