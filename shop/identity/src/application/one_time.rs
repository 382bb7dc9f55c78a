//! What identity needs of its store for mails: one-time tokens, proved addresses, wishes for a new password.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use shop_kernel::UserId;
use stanchion::auth::one_time::OneTimeHash;
use stanchion::sql::Query;
use uuid::Uuid;

use super::Failure;

/// What a one-time token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To prove an address.
    Verification,
    /// To choose a new password.
    Reset,
}

/// A token that is about to be sent.
pub(crate) struct NewToken {
    /// The mail's id: a repeat of the mail replaces its token.
    pub(crate) id: Uuid,
    pub(crate) hash: OneTimeHash,
    pub(crate) purpose: Purpose,
    pub(crate) user: UserId,
    /// The address it is sent to; for any other one it is good for nothing.
    pub(crate) email_key: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// Whose token it is, and for which address.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bearer {
    pub(crate) user: UserId,
    pub(crate) email_key: String,
}

/// Somebody wants a new password.
pub(crate) struct ResetRequest {
    pub(crate) id: Uuid,
    /// The key of the address, as far as what was typed has one.
    pub(crate) email_key: String,
    pub(crate) asked_at: Timestamp,
}

/// Where they are kept. A token is good for nothing once its user is deleted or has another address; for a new
/// password, once the address that the user had is held no more.
#[async_trait]
pub(crate) trait OneTimeRepository: Send + Sync {
    /// Inserts a token in the place of one that the same mail had.
    async fn put(&self, on: &dyn Query, token: &NewToken) -> Result<(), Failure>;

    /// Whose live token it is.
    async fn find(
        &self,
        on: &dyn Query,
        hash: &OneTimeHash,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Option<Bearer>, Failure>;

    /// Uses a live token, in one statement; `None` if it is not live.
    async fn take(
        &self,
        on: &dyn Query,
        hash: &OneTimeHash,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Option<Bearer>, Failure>;

    /// Voids the other tokens of a user for that purpose.
    async fn void(
        &self,
        on: &dyn Query,
        user: UserId,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<(), Failure>;

    /// How many mails for that purpose a user was sent since then, besides that one.
    async fn sent_since(
        &self,
        on: &dyn Query,
        user: UserId,
        purpose: Purpose,
        since: Timestamp,
        besides: Option<Uuid>,
    ) -> Result<i64, Failure>;

    /// Notes that the user has proved that address.
    async fn verify(&self, on: &dyn Query, bearer: &Bearer, now: Timestamp) -> Result<(), Failure>;

    /// When the user proved that address, if so.
    async fn verified_at(
        &self,
        on: &dyn Query,
        bearer: &Bearer,
    ) -> Result<Option<Timestamp>, Failure>;

    async fn ask(&self, on: &dyn Query, request: &ResetRequest) -> Result<(), Failure>;

    /// The address of a request that waits.
    async fn asked(&self, on: &dyn Query, id: Uuid) -> Result<Option<String>, Failure>;

    async fn answered(&self, on: &dyn Query, id: Uuid) -> Result<(), Failure>;

    /// How many requests wait; counted up to `limit`.
    async fn waiting(&self, on: &dyn Query, limit: i64) -> Result<i64, Failure>;

    /// Deletes all of a user.
    async fn erase(&self, on: &dyn Query, user: UserId) -> Result<(), Failure>;

    /// Deletes what expired or was asked before then, at most `limit` of each; how many.
    async fn prune(&self, on: &dyn Query, before: Timestamp, limit: u64) -> Result<u64, Failure>;
}

impl Purpose {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Verification => "verification",
            Self::Reset => "reset",
        }
    }

    /// How long a token lives: mailboxes are read by others later. A reset is the more dangerous one.
    pub(crate) fn life(self) -> SignedDuration {
        match self {
            Self::Verification => SignedDuration::from_mins(60),
            Self::Reset => SignedDuration::from_mins(30),
        }
    }
}
