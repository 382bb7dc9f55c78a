//! Who stands behind API keys, as identity says.

use std::net::IpAddr;
use std::sync::Arc;

use shop_contracts::grpc::identity::v1 as pb;
use stanchion::auth::api_key::{ApiKey, ApiKeyHash, ApiKeyRow};
use stanchion::auth::{Permissions, Principal};
use stanchion::resilience::single_flight::SingleFlight;
use stanchion::server::{AuthenticateError, Context};
use tokio::time::timeout;

use super::standings::known_roles;
use super::{ANSWERED_WITHIN, Client, detached};
use crate::application::api_keys::KeyStanding;
use crate::application::{Attempts, LiveKeys, bearer, live_keys};

/// What identity said of keys within the last second, and the calls that are under way: one a key, and no more keys
/// together than a single flight has.
pub(super) struct ApiKeys {
    client: Client,
    live: Arc<LiveKeys>,
    asking: SingleFlight<[u8; 32], Option<KeyStanding>, String>,
    attempts: Attempts,
}

impl ApiKeys {
    pub(super) fn new(client: Client, attempts: Attempts) -> Self {
        Self {
            client,
            live: Arc::new(live_keys()),
            asking: SingleFlight::default(),
            attempts,
        }
    }

    /// Who bears this key.
    pub(super) async fn bearer(&self, text: &str) -> Result<Principal, AuthenticateError> {
        let request = Context::current();
        let from = request.and_then(|request| request.remote());
        self.bearer_from(text, from).await
    }

    pub(super) async fn bearer_from(
        &self,
        text: &str,
        from: Option<IpAddr>,
    ) -> Result<Principal, AuthenticateError> {
        let key = ApiKey::parse(text).ok_or(AuthenticateError::Invalid)?;
        let standing = self.standing(key.hash(), from).await?;
        let principal = standing.and_then(|standing| bearer(&standing));
        principal.ok_or(AuthenticateError::Invalid)
    }

    /// What is remembered: what, how many, and at most.
    pub(super) fn remembered(&self) -> (&'static str, usize, usize) {
        ("api_keys", self.live.len(), self.live.entries_max())
    }

    /// As identity does it itself: keys without end are soon made up, so what is none is counted before identity is asked
    /// once more, and one that let somebody in here before is asked about all the while.
    async fn standing(
        &self,
        hash: ApiKeyHash,
        from: Option<IpAddr>,
    ) -> Result<Option<KeyStanding>, AuthenticateError> {
        if let Some(known) = self.live.get(hash) {
            return Ok(known);
        }
        let no_answer = AuthenticateError::Unavailable;
        if self.live.last_known(hash).flatten().is_some() {
            return self.asked(hash).await.map_err(no_answer);
        }
        let attempt = self.attempts.stranger(from).await?;
        let answer = self.asked(hash).await;
        if matches!(answer, Ok(None)) {
            attempt.was_wrong().await?;
        } else {
            // Without an answer nothing is known to be wrong.
            attempt.was_right().await;
        }
        answer.map_err(no_answer)
    }

    /// As identity says; one call for all who ask for that key meanwhile.
    async fn asked(&self, hash: ApiKeyHash) -> Result<Option<KeyStanding>, String> {
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

#[cfg(test)]
mod tests {
    use super::super::tests::{NOBODY, identity_counting};
    use super::*;
    use crate::testing::counting;

    #[tokio::test]
    async fn of_keys_without_end_that_somebody_makes_up_few_are_asked_of_identity() {
        let attempts = counting(5);
        let elsewhere = identity_counting(NOBODY, attempts.clone());
        let keys = &elsewhere.api_keys;
        let attacker: Option<IpAddr> = Some("203.0.113.1".parse().unwrap());
        let other: Option<IpAddr> = Some("198.51.100.7".parse().unwrap());
        let asked = async |from| {
            let made_up = ApiKey::generate();
            keys.bearer_from(made_up.expose(), from).await.unwrap_err()
        };
        // Without an answer nothing is counted.
        for _ in 0..10 {
            let error = asked(attacker).await;
            assert!(matches!(error, AuthenticateError::Unavailable(_)));
        }
        for _ in 0..5 {
            attempts.wrong_from(attacker).await.unwrap();
        }
        let error = asked(attacker).await;
        assert!(matches!(error, AuthenticateError::TooOften(_)), "{error}");
        let error = asked(other).await;
        assert!(matches!(error, AuthenticateError::Unavailable(_)));
    }
}
