use secrecy::SecretString;
use shop_kernel::UserId;
use stanchion::auth::PasswordError;
use stanchion::auth::password::Place;
use stanchion::auth::refresh::{Family, RefreshRow};
use stanchion::auth::token::Grant;
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;
use stanchion::sql::Query;

use super::ports::{Credentials, LoggedIn, Which, Who};
use super::{Account, Failure, Identity, Refusal, Tokens, Work, Written, retried};
use crate::domain::session::LIVE_MAX;
use crate::domain::{
    Client, Event, PasswordHash, Role, RoleSet, Session, SessionEnd, SessionId, folded,
};

/// What somebody gives to log in.
pub(crate) struct Login {
    /// An e-mail address or a username.
    pub(crate) login: String,
    pub(crate) password: SecretString,
    pub(crate) client: Client,
}

impl Identity {
    /// Starts a session. Whatever is wrong, the refusal is the same, and so is the work done for it.
    pub(crate) async fn log_in(
        &self,
        login: Login,
        metadata: &Metadata,
    ) -> Result<Written<Tokens>, Failure> {
        let (checked, rehashed) = self.checked(&login).await?;
        let start = || self.start_session(&checked, rehashed.as_ref(), &login.client, metadata);
        let (written, ended) = retried(start).await?;
        self.live.forget(&ended);
        Ok(written)
    }

    /// Whose login this is, with a hash at today's cost if the stored one has another. Every way in comes by here.
    pub(super) async fn checked(
        &self,
        login: &Login,
    ) -> Result<(Credentials, Option<PasswordHash>), Failure> {
        // Counted first, and a place to hash before the store is asked: an attack that is refused asks it nothing.
        let attempt = self.attempts.log_in(&login.login, &login.client).await?;
        let (place, found) = match self.looked_up(&login.login, attempt.is_known()).await {
            Ok(looked_up) => looked_up,
            Err(failure) => {
                attempt.not_looked_up().await;
                return Err(failure);
            }
        };
        let user = found.as_ref().map(|found| found.user);
        let is_active = found.as_ref().is_some_and(|found| found.is_active);
        let mut attempt = attempt.of(found.as_ref()).await?;
        let stored = found.as_ref().map(|found| found.password.expose());
        let matches = match place.verify(stored, &login.password).await {
            // Its user needs a new password; a stranger is not told that there is such a user.
            Err(error @ (PasswordError::Unreadable | PasswordError::PepperUnknown)) => {
                let user_id = user.map(tracing::field::display);
                tracing::error!(user_id, %error, "a user cannot log in");
                Ok(false)
            }
            // Of a suspended user the right one is as wrong as any: to the limits, and to a clock.
            outcome => outcome.map(|matches| matches && is_active),
        };
        let matches = attempt.judged(matches).await?;
        let checked = found.filter(|_| matches).ok_or(Refusal::BadCredentials)?;
        let rehashed = self.rehash(&checked, &login.password).await;
        Ok((checked, rehashed))
    }

    pub(super) fn access_token(
        &self,
        user: UserId,
        session: SessionId,
        roles: &RoleSet,
    ) -> Result<SecretString, Failure> {
        let names = roles.iter().map(Role::name);
        let grant = Grant::to_user(user.0, session.0, names, roles.permissions());
        Ok(self.tokens.issue(&grant, clock::now())?)
    }

    /// What the device is known by from now on that somebody has just logged in with.
    pub(super) fn introduced(
        &self,
        user: &LoggedIn,
        checked: &Credentials,
        rehashed: Option<&PasswordHash>,
        client: &Client,
    ) -> Option<String> {
        let account = Account {
            user: checked.user,
            names: user.names.each_ref().map(String::as_str),
            password: rehashed.unwrap_or(&checked.password),
        };
        self.attempts.introduce(&account, client)
    }

    /// The same after somebody has just set this password, as the account is then.
    pub(super) async fn introduced_by(
        &self,
        on: &dyn Query,
        user: UserId,
        password: &PasswordHash,
        client: &Client,
    ) -> Result<Option<String>, Failure> {
        let Some(user) = self.users.find_by_id(on, user).await? else {
            return Ok(None);
        };
        let email_key = user.profile.email.key();
        let account = Account {
            user: user.id,
            names: [user.profile.username.as_str(), &email_key],
            password,
        };
        Ok(self.attempts.introduce(&account, client))
    }

    /// Strangers take no place from those that are known under this name: whose it is, is not known yet.
    async fn looked_up(
        &self,
        login: &str,
        is_known: bool,
    ) -> Result<(Place, Option<Credentials>), Failure> {
        let place = match is_known {
            true => self.passwords.place_of_known()?,
            false => self.passwords.place()?,
        };
        Ok((place, self.find_credentials(login).await?))
    }

    /// A username has no `@`, an address always has one.
    async fn find_credentials(&self, login: &str) -> Result<Option<Credentials>, Failure> {
        let username = login.trim().to_ascii_lowercase();
        let email_key = folded(login);
        let who = match login.contains('@') {
            true => Who::EmailKey(&email_key),
            false => Who::Username(&username),
        };
        self.users.credentials(&self.db, who).await
    }

    /// A hash at today's cost if the stored one has another; a busy pool leaves it for the next login.
    async fn rehash(&self, checked: &Credentials, password: &SecretString) -> Option<PasswordHash> {
        if !self.passwords.needs_rehash(checked.password.expose()) {
            return None;
        }
        let hash = self.passwords.hash(password).await.ok()?;
        Some(PasswordHash::new(hash))
    }

    /// Locks the user's row first: a suspension, deletion or new password comes wholly before or after.
    async fn start_session(
        &self,
        checked: &Credentials,
        rehashed: Option<&PasswordHash>,
        client: &Client,
        metadata: &Metadata,
    ) -> Result<(Written<Tokens>, Vec<SessionId>), Failure> {
        let now = clock::now();
        let mut work = Work::begin(&self.db, metadata);
        let user = self
            .users
            .note_login(work.rows(), checked, rehashed, now)
            .await?
            .ok_or(Refusal::BadCredentials)?;
        let (family, refresh, row) = Family::begin(checked.user.0, now, &self.lifetimes);
        let ended = self
            .insert_session(&mut work, &family, &row, client)
            .await?;
        let access = self.access_token(checked.user, SessionId(family.id), &user.roles)?;
        let device = self.introduced(&user, checked, rehashed, client);
        let position = work.commit().await?;
        let value = Tokens {
            access,
            refresh,
            expires_in: self.tokens.ttl(),
            device,
        };
        Ok((Written { value, position }, ended))
    }

    /// Inserts the session, and ends those that are too many by it.
    pub(super) async fn insert_session(
        &self,
        work: &mut Work<'_>,
        family: &Family,
        first: &RefreshRow,
        client: &Client,
    ) -> Result<Vec<SessionId>, Failure> {
        let now = clock::now();
        let session = Session {
            id: SessionId(family.id),
            user: UserId(family.user),
            client: client.clone(),
            created_at: now,
            last_used_at: now,
            expires_at: family.expires_at,
        };
        let beyond = Which::Beyond(LIVE_MAX - 1);
        let ended = self
            .end(work, session.user, beyond, SessionEnd::TooMany)
            .await?;
        self.sessions.start(work.rows(), &session, first).await?;
        work.record(&Event::SessionStarted {
            session_id: session.id,
            user_id: session.user,
        })?;
        Ok(ended)
    }
}
