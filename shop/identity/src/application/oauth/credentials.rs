use std::net::IpAddr;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use stanchion::auth::Subject;
use stanchion::auth::oauth::{OAuthError, OpaqueToken, Prefix, Refused};
use stanchion::auth::token::Claims;
use uuid::Uuid;

use super::{OAuth, OAuthFailure};
use crate::application::{Failure, Identity};
use crate::domain::{ClientId, RegisteredClient};

/// One answer for whatever is wrong, so that nobody learns which clients there are.
const NOT_PROVEN: Refused =
    OAuthError::InvalidClient.because("the client is unknown or did not prove who it is");

/// Who a client says it is, and what is to prove it.
pub(crate) struct Presented {
    pub(crate) id: String,
    pub(crate) secret: Option<SecretString>,
}

impl Identity {
    /// The client that this proves to be; a public one proves nothing and is believed.
    pub(crate) async fn client(
        &self,
        presented: &Presented,
    ) -> Result<Arc<RegisteredClient>, OAuthFailure> {
        let Ok(id) = presented.id.parse() else {
            return Err(NOT_PROVEN.into());
        };
        let found = self.enabled_client(id).await?;
        let client = found.ok_or(NOT_PROVEN)?;
        let proven = match (&client.secret, &presented.secret) {
            (Some(stored), Some(given)) => {
                let given = OpaqueToken::parse(Prefix::CLIENT_SECRET, given.expose_secret());
                given.is_some_and(|given| stored.matches(&given))
            }
            (None, None) => true,
            _ => false,
        };
        if proven {
            Ok(client)
        } else {
            Err(NOT_PROVEN.into())
        }
    }

    /// The same, for what only a client that has proven itself may do.
    pub(crate) async fn confidential_client(
        &self,
        presented: &Presented,
    ) -> Result<Arc<RegisteredClient>, OAuthFailure> {
        if presented.secret.is_none() {
            return Err(NOT_PROVEN.into());
        }
        let client = self.client(presented).await?;
        if client.plan.confidential {
            Ok(client)
        } else {
            Err(NOT_PROVEN.into())
        }
    }

    /// Whether there was a client of that name when this process asked last, disabled or not.
    pub(super) fn has_seen_client(&self, name: &str) -> bool {
        let id = name.parse::<ClientId>().ok();
        let seen = id.and_then(|id| self.oauth.live.last_known(id));
        seen.flatten().is_some()
    }

    /// The client that a browser's request names, and nothing proves: names without end are soon made up, so what is not
    /// known here is counted like a wrong secret.
    pub(super) async fn client_named(
        &self,
        name: &str,
        from: Option<IpAddr>,
    ) -> Result<Option<Arc<RegisteredClient>>, Failure> {
        let Ok(id) = name.parse() else {
            return Ok(None);
        };
        if self.has_seen_client(name) {
            return self.enabled_client(id).await;
        }
        let attempt = self.attempts.stranger(from).await?;
        attempt.found(self.enabled_client(id).await).await
    }

    /// A client that is not disabled, as the store had it within the last second, or longer ago while this process hears of
    /// every change.
    pub(super) async fn enabled_client(
        &self,
        id: ClientId,
    ) -> Result<Option<Arc<RegisteredClient>>, Failure> {
        let live = &self.oauth.live;
        let found = match live.get_within(id, self.live.counts_for()) {
            Some(known) => known,
            None => {
                let question = live.ask();
                let found = self.oauth.clients.find(&self.db, id).await?.map(Arc::new);
                live.remember(question, id, found.clone());
                found
            }
        };
        Ok(found.filter(|client| client.disabled_at.is_none()))
    }

    /// Whether a client's own token counts, by the store alone: for whoever remembers the answer.
    pub(crate) async fn client_token_as_stored(
        &self,
        client: ClientId,
        token: Uuid,
    ) -> Result<bool, Failure> {
        self.oauth.clients.counts(&self.db, client, token).await
    }

    /// Whether a token's client still gets anything, and the token was not given back.
    pub(in crate::application) async fn client_stands(
        &self,
        claims: &Claims,
    ) -> Result<bool, Failure> {
        let Some(client) = claims.client else {
            return Ok(true);
        };
        if self.enabled_client(ClientId(client)).await?.is_none() {
            return Ok(false);
        }
        // A user's token ends with its session.
        if !matches!(claims.subject, Subject::Client(_)) {
            return Ok(true);
        }
        let OAuth {
            clients, revoked, ..
        } = &self.oauth;
        let age_max = self.live.counts_for();
        let is_void = revoked.has(&**clients, &self.db, claims.id, age_max);
        Ok(!is_void.await?)
    }
}
