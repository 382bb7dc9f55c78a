use secrecy::SecretString;
use shop_kernel::UserId;
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;

use super::one_time::Purpose;
use super::ports::{Credentials, Which, Who};
use super::{Failure, Identity, Refusal, Work, Written, retried};
use crate::domain::{Client, Event, PasswordHash, SessionEnd, SessionId};

impl Identity {
    /// Replaces the caller's password and ends its other sessions; what its device is known by from now on.
    pub(crate) async fn change_password(
        &self,
        user: UserId,
        session: SessionId,
        current: &SecretString,
        new: &SecretString,
        client: &Client,
        metadata: &Metadata,
    ) -> Result<Written<Option<String>>, Failure> {
        let found = self.users.credentials(&self.db, Who::Id(user)).await?;
        let checked = found.ok_or(Refusal::UserNotFound)?;
        let mut attempt = self.attempts.change_password(user).await?;
        let stored = Some(checked.password.expose());
        let matches = self.passwords.verify(stored, current).await;
        if !attempt.judged(matches).await? {
            return Err(Refusal::WrongPassword.into());
        }
        let password = PasswordHash::new(self.passwords.hash(new).await?);
        let replace = || self.replace_password(&checked, &password, session, client, metadata);
        let (written, ended) = retried(replace).await?;
        self.live.forget(&ended);
        Ok(written)
    }

    async fn replace_password(
        &self,
        checked: &Credentials,
        password: &PasswordHash,
        session: SessionId,
        client: &Client,
        metadata: &Metadata,
    ) -> Result<(Written<Option<String>>, Vec<SessionId>), Failure> {
        let mut work = Work::begin(&self.db, metadata);
        let replaced = self
            .users
            .set_password(work.rows(), checked, password)
            .await?;
        if !replaced {
            // Another request changed it since it was checked: what was given is not the current one.
            return Err(Refusal::WrongPassword.into());
        }
        // A letter that somebody asked for before must not undo it.
        self.one_time
            .void(work.rows(), checked.user, Purpose::Reset, clock::now())
            .await?;
        work.record(&Event::PasswordChanged {
            user_id: checked.user,
        })?;
        let others = Which::AllBut(session);
        let ended = self
            .end(&mut work, checked.user, others, SessionEnd::PasswordChanged)
            .await?;
        let device = self
            .introduced_by(work.rows(), checked.user, password, client)
            .await?;
        let position = work.commit().await?;
        let written = Written {
            value: device,
            position,
        };
        Ok((written, ended))
    }
}
