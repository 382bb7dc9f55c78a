//! API keys of users and services: made, listed, revoked.

use async_trait::async_trait;
use jiff::Timestamp;
use shop_kernel::UserId;
use stanchion::auth::api_key::{ApiKey, ApiKeyHash, ApiKeyRow};
use stanchion::auth::{Permissions, Subject};
use stanchion::eventsourcing::Metadata;
use stanchion::runtime::{clock, id};
use stanchion::sql::Query;
use uuid::Uuid;

use super::answers::Answers;
use super::{Failure, Identity, Refusal, Work, Written, retried};
use crate::domain::{Event, RoleSet};

/// What the store said of API keys; `None`: there is no such key, it has ended, or its user is not active.
pub(crate) type LiveKeys = Answers<ApiKeyHash, Option<KeyStanding>>;

/// The most keys that are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// The most live keys of one owner.
pub(crate) const LIVE_MAX: i64 = 50;

/// What a service's key may be good for: each by its name, so that none holds what only this platform's own services
/// may (`identity:ask`) or what makes an administrator.
pub(crate) const SERVICE_SCOPES: [&str; 8] = [
    "user:read",
    "user:write",
    "order:read",
    "order:write",
    "inventory:read",
    "inventory:write",
    "payment:read",
    "payment:refund",
];

/// A key to be.
pub(crate) struct NewApiKey {
    pub(crate) owner: Subject,
    pub(crate) name: String,
    pub(crate) scopes: Permissions,
    pub(crate) expires_at: Option<Timestamp>,
}

/// What is kept of a key beside its hash.
#[derive(Clone, Debug)]
pub(crate) struct KeptApiKey {
    pub(crate) row: ApiKeyRow,
    pub(crate) name: String,
    /// The key's first characters.
    pub(crate) hint: String,
    pub(crate) created_at: Timestamp,
    /// Right to a minute or so.
    pub(crate) last_used_at: Option<Timestamp>,
}

/// Who stands behind a live key: its owner, with the roles that a user has now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyStanding {
    pub(crate) row: ApiKeyRow,
    /// None for a service.
    pub(crate) roles: Option<RoleSet>,
    pub(crate) last_used_at: Option<Timestamp>,
}

/// A memory of keys.
pub(crate) fn live_keys() -> LiveKeys {
    Answers::at_most(REMEMBERED_MAX)
}

/// Where API keys are kept, from when they are made until they are revoked.
#[async_trait]
pub(crate) trait ApiKeyRepository: Send + Sync {
    async fn add(&self, on: &dyn Query, key: &KeptApiKey, hash: &ApiKeyHash)
    -> Result<(), Failure>;

    /// Deletes those of an owner that have ended by themselves. Until the unit of work ends nobody else adds one.
    async fn make_room(
        &self,
        on: &dyn Query,
        owner: &Subject,
        now: Timestamp,
    ) -> Result<(), Failure>;

    /// The keys of an owner that were not revoked, newest first.
    async fn list(&self, on: &dyn Query, owner: &Subject) -> Result<Vec<KeptApiKey>, Failure>;

    /// How many they are.
    async fn count(&self, on: &dyn Query, owner: &Subject) -> Result<i64, Failure>;

    /// Deletes a key of an owner; its hash, unless there is no such key.
    async fn revoke(
        &self,
        on: &dyn Query,
        owner: &Subject,
        id: Uuid,
    ) -> Result<Option<ApiKeyHash>, Failure>;

    /// Who stands behind a key that lives, if its user is active.
    async fn standing(
        &self,
        on: &dyn Query,
        hash: &ApiKeyHash,
        now: Timestamp,
    ) -> Result<Option<KeyStanding>, Failure>;

    /// Notes that a key was used, if that is newer than `before`.
    async fn note_use(
        &self,
        on: &dyn Query,
        id: Uuid,
        now: Timestamp,
        before: Timestamp,
    ) -> Result<(), Failure>;

    /// Deletes all of a user.
    async fn erase(&self, on: &dyn Query, user: UserId) -> Result<(), Failure>;
}

impl Identity {
    /// Makes a key; the only time that it can be shown.
    pub(crate) async fn create_api_key(
        &self,
        new: NewApiKey,
        metadata: &Metadata,
    ) -> Result<Written<(ApiKey, KeptApiKey)>, Failure> {
        let key = ApiKey::generate();
        let kept = KeptApiKey {
            row: ApiKeyRow {
                id: id::new_v7(),
                owner: new.owner,
                scopes: new.scopes,
                expires_at: new.expires_at,
                revoked_at: None,
            },
            name: new.name,
            hint: key.hint(),
            created_at: clock::now(),
            last_used_at: None,
        };
        let written = retried(|| self.add_api_key(&key, &kept, metadata)).await?;
        Ok(Written {
            value: (key, kept),
            position: written.position,
        })
    }

    async fn add_api_key(
        &self,
        key: &ApiKey,
        kept: &KeptApiKey,
        metadata: &Metadata,
    ) -> Result<Written<()>, Failure> {
        let (mut work, owner) = (Work::begin(&self.db, metadata), &kept.row.owner);
        let keys = &self.api_keys;
        keys.make_room(work.rows(), owner, kept.created_at).await?;
        if keys.count(work.rows(), owner).await? >= LIVE_MAX {
            return Err(Refusal::TooManyApiKeys.into());
        }
        keys.add(work.rows(), kept, &key.hash()).await?;
        work.record(&Event::ApiKeyCreated {
            key_id: kept.row.id,
            owner: owner.to_string(),
        })?;
        let position = work.commit().await?;
        Ok(Written {
            value: (),
            position,
        })
    }

    pub(crate) async fn api_keys_of(&self, owner: &Subject) -> Result<Vec<KeptApiKey>, Failure> {
        self.api_keys.list(&self.db, owner).await
    }

    /// Revokes a key: it is refused at once here, within a second elsewhere.
    pub(crate) async fn revoke_api_key(
        &self,
        owner: &Subject,
        id: Uuid,
        metadata: &Metadata,
    ) -> Result<Written<()>, Failure> {
        let written = retried(|| self.end_api_key(owner, id, metadata)).await?;
        self.live_keys.forget(&[written.value]);
        Ok(Written {
            value: (),
            position: written.position,
        })
    }

    async fn end_api_key(
        &self,
        owner: &Subject,
        id: Uuid,
        metadata: &Metadata,
    ) -> Result<Written<ApiKeyHash>, Failure> {
        let mut work = Work::begin(&self.db, metadata);
        let revoked = self.api_keys.revoke(work.rows(), owner, id).await?;
        let hash = revoked.ok_or(Refusal::ApiKeyNotFound)?;
        work.record(&Event::ApiKeyRevoked {
            key_id: id,
            owner: owner.to_string(),
        })?;
        let position = work.commit().await?;
        Ok(Written {
            value: hash,
            position,
        })
    }
}
