//! What identity needs of its store. `on` is the database itself, or the unit of work that a call belongs to.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use shop_kernel::UserId;
use stanchion::auth::key::KeyState;
use stanchion::auth::refresh::{Family, Nonce, RefreshHash, RefreshRow, Use};
use stanchion::sql::Query;

use super::Failure;
use crate::domain::{
    ClientGrant, ClientId, Email, PasswordHash, RoleSet, Session, SessionEnd, SessionId, Status,
    User, Username,
};

/// Where users are kept. What is deleted is not found.
#[async_trait]
pub(crate) trait UserRepository: Send + Sync {
    async fn find_by_id(&self, on: &dyn Query, id: UserId) -> Result<Option<User>, Failure>;

    async fn find_by_email(&self, on: &dyn Query, email: &Email) -> Result<Option<User>, Failure>;

    async fn find_by_username(
        &self,
        on: &dyn Query,
        username: &Username,
    ) -> Result<Option<User>, Failure>;

    /// Which users, in which order, and how many there are if that was asked for.
    async fn list(&self, on: &dyn Query, list: &UserList) -> Result<UserPage, Failure>;

    /// Refuses an e-mail address or a username that is taken.
    async fn create(
        &self,
        on: &dyn Query,
        user: &User,
        password: &PasswordHash,
    ) -> Result<(), Failure>;

    /// Writes a user that is one version on; [`super::Refusal::Stale`] if the store is not one version back.
    async fn update(&self, on: &dyn Query, user: &User) -> Result<(), Failure>;

    /// Marks that version of a user as deleted and forgets its password; stale otherwise.
    async fn delete(&self, on: &dyn Query, user: &User, now: Timestamp) -> Result<(), Failure>;

    /// Blanks all that a deleted user was known by; refuses one that never was or still lives.
    async fn erase(&self, on: &dyn Query, id: UserId) -> Result<(), Failure>;

    /// What a login typed as an e-mail address or a username is checked against.
    async fn credentials(
        &self,
        on: &dyn Query,
        who: Who<'_>,
    ) -> Result<Option<Credentials>, Failure>;

    /// Notes a login of an active user whose password is still `checked`; `None` if not so. The user is locked until the unit of
    /// work ends: whatever is taken from it comes wholly before or after.
    async fn note_login(
        &self,
        on: &dyn Query,
        checked: &Credentials,
        rehashed: Option<&PasswordHash>,
        now: Timestamp,
    ) -> Result<Option<LoggedIn>, Failure>;

    /// Replaces the password unless it is no longer the one that was checked.
    async fn set_password(
        &self,
        on: &dyn Query,
        checked: &Credentials,
        password: &PasswordHash,
    ) -> Result<bool, Failure>;

    /// The active administrators, locked until the unit of work ends.
    async fn lock_admins(&self, on: &dyn Query) -> Result<Vec<UserId>, Failure>;

    /// Waits for its turn among all processes; it ends with the unit of work.
    async fn take_turn(&self, on: &dyn Query) -> Result<(), Failure>;

    /// Whether there was ever a user, deleted ones included.
    async fn is_empty(&self, on: &dyn Query) -> Result<bool, Failure>;
}

/// Where sessions and their refresh tokens are kept.
#[async_trait]
pub(crate) trait SessionRepository: Send + Sync {
    /// Inserts a session with the first token of its family.
    async fn start(
        &self,
        on: &dyn Query,
        session: &Session,
        first: &RefreshRow,
    ) -> Result<(), Failure>;

    /// The live sessions of a user, most recently used first.
    async fn list(
        &self,
        on: &dyn Query,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<Session>, Failure>;

    /// Ends the live ones of these sessions of a user; which they were.
    async fn end(
        &self,
        on: &dyn Query,
        user: UserId,
        which: Which,
        reason: SessionEnd,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, Failure>;

    /// Deletes all sessions of a user, with their tokens.
    async fn erase(&self, on: &dyn Query, user: UserId) -> Result<(), Failure>;

    /// Makes a token's child live in one statement, if the store has one for it and nothing else is to be done; `None`
    /// says nothing but that nothing was written.
    async fn rotate(
        &self,
        on: &dyn Query,
        rotation: &Rotation<'_>,
        now: Timestamp,
    ) -> Result<Option<Rotated>, Failure>;

    /// A token with its family, which is locked until the unit of work ends, and what became of it.
    async fn find_token(
        &self,
        on: &dyn Query,
        hash: &RefreshHash,
        now: Timestamp,
    ) -> Result<Option<Presented>, Failure>;

    /// Marks a token as used, in one statement, if it and its family are live; whether it did.
    async fn use_token(
        &self,
        on: &dyn Query,
        hash: &RefreshHash,
        now: Timestamp,
    ) -> Result<bool, Failure>;

    /// Inserts the child of a used token and notes the use of the session.
    async fn add_token(
        &self,
        on: &dyn Query,
        child: &RefreshRow,
        nonce: Option<Nonce>,
        now: Timestamp,
    ) -> Result<(), Failure>;

    /// Who stands behind a live session, if the user is active and its client, if it is a client's, is not disabled: all
    /// that a request with its access token asks for.
    async fn live(
        &self,
        on: &dyn Query,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Standing>, Failure>;

    /// Notes when live sessions were used last; what is noted later already stays.
    async fn note_uses(
        &self,
        on: &dyn Query,
        uses: &[(SessionId, Timestamp)],
    ) -> Result<(), Failure>;

    /// Begins a user's next epoch: what was known of its sessions before is no longer so.
    async fn new_epoch(&self, on: &dyn Query, user: UserId) -> Result<(), Failure>;

    /// Deletes at most `limit` sessions that ended before `before`, with their tokens; how many.
    async fn prune(&self, on: &dyn Query, before: Timestamp, limit: u64) -> Result<u64, Failure>;
}

/// Where signing keys are kept, sealed.
#[async_trait]
pub(crate) trait KeyRepository: Send + Sync {
    async fn all(&self, on: &dyn Query) -> Result<Vec<SealedKey>, Failure>;

    async fn add(&self, on: &dyn Query, key: &SealedKey) -> Result<(), Failure>;

    async fn set_state(
        &self,
        on: &dyn Query,
        kid: &str,
        state: KeyState,
        since: Timestamp,
    ) -> Result<(), Failure>;

    /// Replaces what a key is sealed as, unless it is sealed otherwise by now; whether it did.
    async fn reseal(
        &self,
        on: &dyn Query,
        kid: &str,
        before: &[u8],
        sealed: &[u8],
    ) -> Result<bool, Failure>;

    async fn remove(&self, on: &dyn Query, kid: &str) -> Result<(), Failure>;
}

/// A user by what was typed or is known.
#[derive(Clone, Copy)]
pub(crate) enum Who<'a> {
    Id(UserId),
    /// By the key that spellings of one mailbox share.
    EmailKey(&'a str),
    Username(&'a str),
}

/// A password's hash as it was read, to be compared with what is there when it matters.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) user: UserId,
    pub(crate) password: PasswordHash,
    /// Nobody else gets in by it.
    pub(crate) is_active: bool,
}

/// A user who has just logged in, as it is then.
#[derive(Clone, Debug)]
pub(crate) struct LoggedIn {
    pub(crate) roles: RoleSet,
    pub(crate) epoch: i64,
    /// Its username and the key of its address.
    pub(crate) names: [String; 2],
}

/// Which sessions of a user.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    One(SessionId),
    AllBut(SessionId),
    All,
    /// All but so many that were used most recently.
    Beyond(i64),
}

/// Who stands behind a live session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standing {
    pub(crate) user: UserId,
    pub(crate) roles: RoleSet,
    /// The user's: of two answers about a user the one with the higher is the newer.
    pub(crate) epoch: i64,
    /// When the session ends by itself.
    pub(crate) until: Timestamp,
    pub(crate) last_used_at: Timestamp,
    /// What a client was granted; `None` for a login of our own.
    pub(crate) grant: Option<Arc<ClientGrant>>,
}

impl Standing {
    /// Whether it is a session of that client.
    pub(crate) fn is_of(&self, client: ClientId) -> bool {
        self.grant
            .as_ref()
            .is_some_and(|grant| grant.client == client)
    }
}

/// A token whose child is to be.
pub(crate) struct Rotation<'a> {
    pub(crate) parent: &'a RefreshHash,
    pub(crate) child: RefreshHash,
    pub(crate) nonce: Option<Nonce>,
    /// When the child ends unless its family does before.
    pub(crate) expires_at: Timestamp,
    /// Who has proved to be which client; `None`: nobody, and the token must be of a login of our own. Any other is left as
    /// it is.
    pub(crate) by: Option<ClientId>,
}

/// For whom a token was rotated.
pub(crate) struct Rotated {
    pub(crate) session: SessionId,
    pub(crate) user: UserId,
    pub(crate) roles: RoleSet,
    /// What its client was granted, if it is a client's.
    pub(crate) grant: Option<ClientGrant>,
}

/// All that decides about a presented token.
pub(crate) struct Presented {
    pub(crate) row: RefreshRow,
    pub(crate) family: Family,
    pub(crate) used: Option<Use>,
    /// `None`: the user is not active.
    pub(crate) roles: Option<RoleSet>,
    /// By the clock that dates uses.
    pub(crate) now: Timestamp,
}

/// A signing key as it is stored.
pub(crate) struct SealedKey {
    pub(crate) kid: String,
    pub(crate) state: KeyState,
    pub(crate) since: Timestamp,
    pub(crate) sealed: Vec<u8>,
}

/// Which users to list.
#[derive(Clone, Debug)]
pub(crate) struct UserList {
    pub(crate) status: Option<Status>,
    /// The key of an e-mail address.
    pub(crate) email_key: Option<String>,
    /// A part of an e-mail address, a username or a name.
    pub(crate) text: Option<String>,
    pub(crate) sort: UserSort,
    pub(crate) descending: bool,
    /// The sort key and the id of the user before the first one.
    pub(crate) after: Option<(String, UserId)>,
    pub(crate) offset: i64,
    pub(crate) fetch: i64,
    pub(crate) count: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserSort {
    CreatedAt,
    Username,
    Email,
}

/// Users in the order asked for.
pub(crate) struct UserPage {
    pub(crate) users: Vec<User>,
    pub(crate) total: Option<u64>,
}
