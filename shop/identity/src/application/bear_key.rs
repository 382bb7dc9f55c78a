use std::net::IpAddr;

use jiff::SignedDuration;
use stanchion::auth::api_key::{ApiKey, ApiKeyHash};
use stanchion::auth::{Permissions, Principal};
use stanchion::runtime::clock;
use stanchion::server::Context;

use super::api_keys::{KeyStanding, SERVICE_SCOPES};
use super::{Failure, Identity};
use crate::domain::Role;

/// How old the note of a key's last use may be before the next use is noted: a write a minute and key, not one a
/// request.
const USE_NOTED_EVERY: SignedDuration = SignedDuration::from_mins(1);

impl Identity {
    /// Who bears this API key; `None` for one that lets nobody in.
    pub(crate) async fn key_bearer(&self, text: &str) -> Result<Option<Principal>, Failure> {
        let request = Context::current();
        let from = request.and_then(|request| request.remote());
        self.key_bearer_from(text, from).await
    }

    async fn key_bearer_from(
        &self,
        text: &str,
        from: Option<IpAddr>,
    ) -> Result<Option<Principal>, Failure> {
        let Some(key) = ApiKey::parse(text) else {
            return Ok(None);
        };
        let standing = self.key_standing(key.hash(), from).await?;
        Ok(standing.and_then(|standing| bearer(&standing)))
    }

    /// Keys without end are soon made up, and the store would have to be asked for each: what is none is counted like a wrong
    /// secret. One that let somebody in here before is asked about whatever others have tried from its address.
    async fn key_standing(
        &self,
        hash: ApiKeyHash,
        from: Option<IpAddr>,
    ) -> Result<Option<KeyStanding>, Failure> {
        if let Some(known) = self.live_keys.get(hash) {
            return Ok(known);
        }
        if self.live_keys.last_known(hash).flatten().is_some() {
            return self.ask_key_standing(hash).await;
        }
        let attempt = self.attempts.stranger(from).await?;
        attempt.found(self.ask_key_standing(hash).await).await
    }

    async fn ask_key_standing(&self, hash: ApiKeyHash) -> Result<Option<KeyStanding>, Failure> {
        let question = self.live_keys.ask();
        let standing = self.key_standing_as_stored(&hash).await?;
        self.live_keys.remember(question, hash, standing.clone());
        Ok(standing)
    }

    /// Who stands behind a live key, by the store alone: for whoever remembers the answer. Whoever asks uses it.
    pub(crate) async fn key_standing_as_stored(
        &self,
        hash: &ApiKeyHash,
    ) -> Result<Option<KeyStanding>, Failure> {
        let now = clock::now();
        let standing = self.api_keys.standing(&self.db, hash, now).await?;
        if let Some(standing) = &standing {
            self.note_key_use(standing).await;
        }
        Ok(standing)
    }

    /// A use that cannot be noted is a use nevertheless.
    async fn note_key_use(&self, standing: &KeyStanding) {
        let now = clock::now();
        let before = now.saturating_sub(USE_NOTED_EVERY).unwrap_or(now);
        if standing.last_used_at.is_some_and(|at| at > before) {
            return;
        }
        let noted = self
            .api_keys
            .note_use(&self.db, standing.row.id, now, before);
        if let Err(error) = noted.await {
            tracing::warn!(key_id = %standing.row.id, %error, "the use of an API key was not noted");
        }
    }
}

/// What the key allows and its owner may still do. Its owner's roles bind it and give it nothing: that is for its scopes to say.
pub(crate) fn bearer(standing: &KeyStanding) -> Option<Principal> {
    let held = match &standing.roles {
        Some(roles) => roles.permissions(),
        None => Permissions::new(SERVICE_SCOPES).unwrap_or_default(),
    };
    let principal = standing.row.principal(&held, clock::now())?;
    let roles = standing.roles.iter().flat_map(|roles| roles.iter());
    Some(Principal {
        bound_by: roles.map(Role::name).map(str::to_owned).collect(),
        ..principal
    })
}

#[cfg(test)]
mod tests;
