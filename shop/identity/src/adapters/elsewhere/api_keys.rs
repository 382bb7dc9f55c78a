//! Who stands behind API keys, as identity says.

use std::sync::Arc;

use shop_contracts::grpc::identity::v1 as pb;
use stanchion::auth::api_key::{ApiKey, ApiKeyHash, ApiKeyRow};
use stanchion::auth::{Permissions, Principal};
use stanchion::resilience::single_flight::SingleFlight;
use stanchion::server::AuthenticateError;
use tokio::time::timeout;

use super::standings::known_roles;
use super::{ANSWERED_WITHIN, Client, detached};
use crate::application::api_keys::KeyStanding;
use crate::application::{LiveKeys, bearer, live_keys};

/// What identity said of keys within the last second, and the calls that are under way: one a key, and no more keys
/// together than a single flight has.
pub(super) struct ApiKeys {
    client: Client,
    live: Arc<LiveKeys>,
    asking: SingleFlight<[u8; 32], Option<KeyStanding>, String>,
}

impl ApiKeys {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            live: Arc::new(live_keys()),
            asking: SingleFlight::default(),
        }
    }

    /// Who bears this key.
    pub(super) async fn bearer(&self, text: &str) -> Result<Principal, AuthenticateError> {
        let key = ApiKey::parse(text).ok_or(AuthenticateError::Invalid)?;
        let standing = self.standing(key.hash()).await;
        let standing = standing.map_err(AuthenticateError::Unavailable)?;
        let principal = standing.and_then(|standing| bearer(&standing));
        principal.ok_or(AuthenticateError::Invalid)
    }

    /// What is remembered: what, how many, and at most.
    pub(super) fn remembered(&self) -> (&'static str, usize, usize) {
        ("api_keys", self.live.len(), self.live.entries_max())
    }

    async fn standing(&self, hash: ApiKeyHash) -> Result<Option<KeyStanding>, String> {
        if let Some(known) = self.live.get(hash) {
            return Ok(known);
        }
        let (client, live) = (self.client.clone(), Arc::clone(&self.live));
        // No part of the request that begins it: whose deadline is short decides for nobody else.
        let ask = move || async move {
            let asked = detached("identity API key", ask(client, live, hash));
            asked.await.map_err(|failed| failed.to_string())?
        };
        let answer = self.asking.call(*hash.as_bytes(), ask).await;
        answer.map_err(|failed| failed.to_string())
    }
}

async fn ask(
    mut client: Client,
    live: Arc<LiveKeys>,
    hash: ApiKeyHash,
) -> Result<Option<KeyStanding>, String> {
    let question = live.ask();
    let request = pb::GetApiKeyRequest {
        hash: hash.as_bytes().to_vec(),
    };
    let answer = timeout(ANSWERED_WITHIN, client.get_api_key(request)).await;
    let answer = answer.map_err(|_| "identity takes too long".to_owned())?;
    let answer = answer.map_err(|status| status.to_string())?;
    let standing = read(answer.into_inner())?;
    live.remember(question, hash, standing.clone());
    Ok(standing)
}

fn read(answer: pb::ApiKeyStanding) -> Result<Option<KeyStanding>, String> {
    let Some(owner) = answer.owner else {
        return Ok(None);
    };
    let no = |what: &str| format!("identity told {what} that is none");
    let expires_at = answer.expires_at.map(|at| at.parse()).transpose();
    let roles = (!answer.roles.is_empty()).then(|| known_roles(&answer.roles));
    Ok(Some(KeyStanding {
        row: ApiKeyRow {
            id: answer.id.parse().map_err(|_| no("an id"))?,
            owner: owner.parse().map_err(|_| no("a key's owner"))?,
            scopes: Permissions::new(&answer.scopes).map_err(|_| no("a scope"))?,
            expires_at: expires_at.map_err(|_| no("a time"))?,
            revoked_at: None,
        },
        roles,
        last_used_at: None,
    }))
}
