use secrecy::SecretString;
use stanchion::auth::one_time::{OneTimeHash, OneTimeToken};
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;

use super::one_time::Purpose;
use super::ports::{Credentials, Who};
use super::{Failure, Identity, Refusal, Work, Written, retried};
use crate::domain::{Client, Event, PasswordHash, SessionEnd, SessionId};

impl Identity {
    /// Takes a mail's token for a new password: every session of its user ends, and the address is proved. If it
    /// was left lately, it is the user's again. Whoever sets it by a device is known by that from now on.
    pub(crate) async fn reset_password(
        &self,
        token: &str,
        new: &SecretString,
        client: &Client,
        metadata: &Metadata,
    ) -> Result<Written<Option<String>>, Failure> {
        let token = OneTimeToken::parse(token).ok_or(Refusal::BadOneTimeToken)?;
        let hash = token.hash();
        // Hashing is dear: nobody has it done with a token that is none. Whether it is one is decided below.
        let now = clock::now();
        let found = self.one_time.find(&self.db, &hash, Purpose::Reset, now);
        let bearer = found.await?.ok_or(Refusal::BadOneTimeToken)?;
        let who = Who::Id(bearer.user);
        let found = self.users.credentials(&self.db, who).await?;
        let checked = found.ok_or(Refusal::BadOneTimeToken)?;
        let password = PasswordHash::new(self.passwords.hash(new).await?);
        let replace = || self.replace_forgotten(&hash, &checked, &password, client, metadata);
        let (written, ended) = retried(replace).await?;
        self.live.forget(&ended);
        Ok(written)
    }

    async fn replace_forgotten(
        &self,
        hash: &OneTimeHash,
        checked: &Credentials,
        password: &PasswordHash,
        client: &Client,
        metadata: &Metadata,
    ) -> Result<(Written<Option<String>>, Vec<SessionId>), Failure> {
        let now = clock::now();
        let (user, mut work) = (checked.user, Work::begin(&self.db, metadata));
        // The user's row first, as a login locks it: one that was checked against the old password comes wholly before.
        let replaced = self
            .users
            .set_password(work.rows(), checked, password)
            .await?;
        let taken = self
            .one_time
            .take(work.rows(), hash, Purpose::Reset, now)
            .await?;
        let Some(bearer) = taken.filter(|bearer| replaced && bearer.user == user) else {
            return Err(Refusal::BadOneTimeToken.into());
        };
        self.one_time
            .void(work.rows(), user, Purpose::Reset, now)
            .await?;
        self.one_time.verify(work.rows(), &bearer, now).await?;
        self.give_address_back(&mut work, &bearer, now).await?;
        work.record(&Event::PasswordReset { user_id: user })?;
        let ended = self
            .end_all(&mut work, user, SessionEnd::PasswordReset)
            .await?;
        let device = self
            .introduced_by(work.rows(), user, password, client)
            .await?;
        let position = work.commit().await?;
        let written = Written {
            value: device,
            position,
        };
        Ok((written, ended))
    }
}
