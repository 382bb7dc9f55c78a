use async_trait::async_trait;
use stanchion::auth::api_key::ApiKey;
use stanchion::auth::token::Claims;
use stanchion::auth::{Principal, Subject};
use stanchion::server::{Authenticate, AuthenticateError};

use super::IdentityElsewhere;
use super::standings::NoAnswer;
use crate::application::narrowed;
use crate::domain::{ClientId, SessionId};

/// Access tokens and API keys, as identity does it: signature and claims first, then the session.
#[async_trait]
impl Authenticate for IdentityElsewhere {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        if ApiKey::is_one(token) {
            return self.api_keys.bearer(token).await;
        }
        let claims = self.claims(token).await?;
        let (user, session) = match (&claims.subject, claims.session) {
            (Subject::User(user), Some(session)) => (user, session),
            (Subject::Client(client), _) => {
                let client = ClientId(*client);
                return self.client(client, claims).await;
            }
            _ => return Ok(claims.into_principal()),
        };
        match self.standings.of(SessionId(session)).await {
            Ok(standing) => {
                let standing = standing.filter(|standing| standing.user.0 == *user);
                let standing = standing.ok_or(AuthenticateError::Invalid)?;
                Ok(narrowed(claims, &standing))
            }
            // Signed, and not known to have ended: better served for the rest of its minutes than refused.
            Err(NoAnswer::Out(_)) => Ok(claims.into_principal()),
            Err(NoAnswer::Other(why)) => Err(AuthenticateError::Unavailable(why)),
        }
    }
}

impl IdentityElsewhere {
    /// A client with a token of its own.
    async fn client(
        &self,
        client: ClientId,
        claims: Claims,
    ) -> Result<Principal, AuthenticateError> {
        match self.client_tokens.counts(client, claims.id).await {
            Ok(true) | Err(NoAnswer::Out(_)) => Ok(claims.into_principal()),
            Ok(false) => Err(AuthenticateError::Invalid),
            Err(NoAnswer::Other(why)) => Err(AuthenticateError::Unavailable(why)),
        }
    }

    /// What the token says, by the keys known here, and by newer ones if those do not open it.
    async fn claims(&self, token: &str) -> Result<Claims, AuthenticateError> {
        match self.keys.verify(token) {
            Ok(claims) => return Ok(claims),
            Err(_) if !self.keys.may_be_newer(token) => return Err(AuthenticateError::Invalid),
            Err(_) => {}
        }
        let loaded = self.keys.load_unless_asked().await;
        match (self.keys.verify(token), loaded) {
            (Ok(claims), _) => Ok(claims),
            // Without any key nobody can be told from a forger.
            (Err(_), Err(why)) if self.keys.are_none() => Err(AuthenticateError::Unavailable(why)),
            (Err(_), _) => Err(AuthenticateError::Invalid),
        }
    }
}
