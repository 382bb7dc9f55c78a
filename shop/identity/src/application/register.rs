use secrecy::SecretString;
use shop_kernel::UserId;
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::{clock, id};

use super::{Failure, Identity, Refusal, Work, Written, retried};
use crate::domain::{Event, PasswordHash, Profile, Role, RoleSet, User};

/// What somebody gives to become a user.
pub(crate) struct Registration {
    pub(crate) profile: Profile,
    pub(crate) password: SecretString,
}

impl Identity {
    /// Makes a customer. No other role can be asked for.
    pub(crate) async fn register(
        &self,
        registration: Registration,
        metadata: &Metadata,
    ) -> Result<Written<User>, Failure> {
        let Registration { profile, password } = registration;
        self.refuse_taken(&profile).await?;
        let password = PasswordHash::new(self.passwords.hash(&password).await?);
        let roles = RoleSet::of(Role::Customer);
        let user = User::register(UserId(id::new_v7()), profile, roles, clock::now());
        retried(|| self.create(&user, &password, metadata)).await
    }

    /// Hashing is dear, so what is taken or held is refused before; the unique indexes, and a look once they were asked, have the
    /// last word.
    async fn refuse_taken(&self, profile: &Profile) -> Result<(), Failure> {
        let same = self.users.find_by_email(&self.db, &profile.email);
        if same.await?.is_some() {
            return Err(Refusal::EmailTaken.into());
        }
        let same = self.users.find_by_username(&self.db, &profile.username);
        if same.await?.is_some() {
            return Err(Refusal::UsernameTaken.into());
        }
        let key = profile.email.key();
        let held = self.former_emails.proved(&self.db, &key, clock::now());
        match held.await? {
            Some(_) => Err(Refusal::EmailTaken.into()),
            None => Ok(()),
        }
    }

    async fn create(
        &self,
        user: &User,
        password: &PasswordHash,
        metadata: &Metadata,
    ) -> Result<Written<User>, Failure> {
        let mut work = Work::begin(&self.db, metadata);
        self.users.create(work.rows(), user, password).await?;
        // After the unique index was asked: whoever leaves the address at this moment has committed by now.
        self.refuse_held(work.rows(), user).await?;
        work.record(&Event::UserRegistered {
            user_id: user.id,
            roles: user.roles.clone(),
        })?;
        if self.post.is_some() {
            work.record(&Event::VerificationAsked { user_id: user.id })?;
        }
        let position = work.commit().await?;
        Ok(Written {
            value: user.clone(),
            position,
        })
    }
}
