//! What identity needs of its store for clients. `on` is the database, or the unit of work that a call belongs to.

use async_trait::async_trait;
use jiff::Timestamp;
use stanchion::auth::oauth::OpaqueDigest;
use stanchion::auth::refresh::RefreshHash;
use stanchion::sql::Query;
use uuid::Uuid;

use crate::application::Failure;
use crate::domain::{ClientGrant, ClientId, Code, RegisteredClient, SessionId};

/// Where clients are kept, and the tokens that they gave back.
#[async_trait]
pub(crate) trait ClientRepository: Send + Sync {
    async fn create(&self, on: &dyn Query, client: &RegisteredClient) -> Result<(), Failure>;

    async fn find(&self, on: &dyn Query, id: ClientId)
    -> Result<Option<RegisteredClient>, Failure>;

    /// At most `limit`, oldest first.
    async fn list(&self, on: &dyn Query, limit: i64) -> Result<Vec<RegisteredClient>, Failure>;

    /// Disables it since then, or enables it; whether there is such a client.
    async fn set_disabled(
        &self,
        on: &dyn Query,
        id: ClientId,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, Failure>;

    /// Gives a confidential client another secret; whether there is such a client.
    async fn set_secret(
        &self,
        on: &dyn Query,
        id: ClientId,
        secret: &OpaqueDigest,
        now: Timestamp,
    ) -> Result<bool, Failure>;

    /// Notes that this access token is void; whether it was not before.
    async fn void_token(
        &self,
        on: &dyn Query,
        token: Uuid,
        expires_at: Timestamp,
    ) -> Result<bool, Failure>;

    /// The void tokens that would still live, at most `limit`.
    async fn void_tokens(
        &self,
        on: &dyn Query,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Uuid>, Failure>;

    /// Whether a client's own token counts: there is the client, it is not disabled, and the token not void.
    async fn counts(&self, on: &dyn Query, client: ClientId, token: Uuid) -> Result<bool, Failure>;

    async fn is_void(&self, on: &dyn Query, token: Uuid) -> Result<bool, Failure>;
}

/// Where authorization codes are kept, and what sessions of clients were granted.
#[async_trait]
pub(crate) trait CodeRepository: Send + Sync {
    async fn add(&self, on: &dyn Query, code: &Code) -> Result<(), Failure>;

    /// A code, locked until the unit of work ends.
    async fn find(&self, on: &dyn Query, hash: &OpaqueDigest) -> Result<Option<Code>, Failure>;

    /// Notes what a code became, in one statement, unless it was used; whether it did.
    async fn mark_used(
        &self,
        on: &dyn Query,
        hash: &OpaqueDigest,
        session: SessionId,
    ) -> Result<bool, Failure>;

    async fn grant(&self, on: &dyn Query, grant: &ClientGrant) -> Result<(), Failure>;

    /// What the session was granted that this refresh token belongs to.
    async fn grant_of_token(
        &self,
        on: &dyn Query,
        hash: &RefreshHash,
    ) -> Result<Option<ClientGrant>, Failure>;

    /// Until when a refresh token is good, if it is now; nothing is locked by it.
    async fn good_until(
        &self,
        on: &dyn Query,
        hash: &RefreshHash,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Failure>;

    /// Deletes unused codes and void tokens that have expired before then, at most `limit` of each; how many in all.
    async fn prune(&self, on: &dyn Query, before: Timestamp, limit: i64) -> Result<u64, Failure>;
}
