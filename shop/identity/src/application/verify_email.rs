use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use shop_kernel::UserId;
use stanchion::auth::one_time::{OneTimeHash, OneTimeToken};
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;

use super::one_time::{Bearer, Purpose};
use super::{Failure, Identity, Refusal, Work, Written, retried};
use crate::domain::{Event, User};

/// The most mails for one purpose that a user is sent in an hour.
pub(crate) const MAILS_MAX: i64 = 5;

/// In which so many are sent.
pub(crate) const MAILS_WITHIN: SignedDuration = SignedDuration::from_hours(1);

impl Identity {
    /// Takes a mail's token as the proof of its user's address.
    pub(crate) async fn verify_email(
        &self,
        token: &str,
        metadata: &Metadata,
    ) -> Result<Written<()>, Failure> {
        let token = OneTimeToken::parse(token).ok_or(Refusal::BadOneTimeToken)?;
        let hash = token.hash();
        retried(|| self.take_proof(&hash, metadata)).await
    }

    async fn take_proof(
        &self,
        hash: &OneTimeHash,
        metadata: &Metadata,
    ) -> Result<Written<()>, Failure> {
        let (now, purpose) = (clock::now(), Purpose::Verification);
        let mut work = Work::begin(&self.db, metadata);
        let taken = self.one_time.take(work.rows(), hash, purpose, now).await?;
        let bearer = taken.ok_or(Refusal::BadOneTimeToken)?;
        self.one_time.verify(work.rows(), &bearer, now).await?;
        // Whoever has the older one has the last word over those that it was left for.
        self.former_emails
            .forget_later(work.rows(), bearer.user, &bearer.email_key, now)
            .await?;
        work.record(&Event::EmailVerified {
            user_id: bearer.user,
        })?;
        let position = work.commit().await?;
        Ok(Written {
            value: (),
            position,
        })
    }

    /// Asks for another mail by which the user can prove the address, unless that is done.
    pub(crate) async fn ask_verification(
        &self,
        user: UserId,
        from: Option<IpAddr>,
        metadata: &Metadata,
    ) -> Result<(), Failure> {
        self.post()?;
        // Those that are not written yet are not in the store.
        self.attempts.verification(from, user).await?;
        let found = self.user(user).await?;
        if self.verified_at(&found).await?.is_some() && !self.is_put_back(&found).await? {
            return Ok(());
        }
        let since = clock::now().saturating_sub(MAILS_WITHIN);
        let since = since.unwrap_or(Timestamp::MIN);
        let sent = self
            .one_time
            .sent_since(&self.db, user, Purpose::Verification, since, None);
        if sent.await? >= MAILS_MAX {
            return Err(Refusal::TooManyMails.into());
        }
        retried(|| async {
            let mut work = Work::begin(&self.db, metadata);
            work.record(&Event::VerificationAsked { user_id: user })?;
            work.commit().await.map(drop)
        })
        .await
    }

    /// When the user proved the present address, if so.
    pub(crate) async fn verified_at(&self, user: &User) -> Result<Option<Timestamp>, Failure> {
        let bearer = Bearer {
            user: user.id,
            email_key: user.profile.email.key(),
        };
        self.one_time.verified_at(&self.db, &bearer).await
    }
}
