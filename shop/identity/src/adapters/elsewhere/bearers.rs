use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use shop_contracts::grpc::identity::v1 as pb;
use stanchion::auth::key::{Jwks, KeyRing};
use stanchion::auth::token::Claims;
use stanchion::auth::{Principal, Subject};
use stanchion::runtime::clock;
use stanchion::server::{Authenticate, AuthenticateError};
use tokio::time::Instant;

use super::IdentityElsewhere;
use crate::application::narrowed;
use crate::application::ports::Standing;
use crate::domain::{RoleSet, SessionId};

/// How soon the keys are asked for again when identity did not answer, or a token names a key nobody knows.
pub(super) const KEYS_AGAIN: Duration = Duration::from_secs(1);

/// Access tokens, as identity does it: signature and claims first, then the session.
#[async_trait]
impl Authenticate for IdentityElsewhere {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        let claims = self.claims(token).await?;
        let (Subject::User(user), Some(session)) = (&claims.subject, claims.session) else {
            return Ok(claims.into_principal());
        };
        match self.standing(SessionId(session)).await {
            Ok(standing) => {
                let standing = standing.filter(|standing| standing.user.0 == *user);
                let standing = standing.ok_or(AuthenticateError::Invalid)?;
                Ok(narrowed(claims, &standing))
            }
            // Signed, and not known to have ended: better served for the rest of its minutes than refused.
            Err(error) => {
                tracing::warn!(%error, "identity is out: an access token counts as it is signed");
                Ok(claims.into_principal())
            }
        }
    }
}

impl IdentityElsewhere {
    /// What the token says, by the keys known here, and by newer ones if those do not open it.
    async fn claims(&self, token: &str) -> Result<Claims, AuthenticateError> {
        if let Ok(claims) = self.tokens.verify(token, clock::now()) {
            return Ok(claims);
        }
        if let Err(error) = self.load_keys_unless_fresh().await
            && self.tokens.ring().jwks().keys.is_empty()
        {
            return Err(AuthenticateError::Unavailable(error));
        }
        let known = self.tokens.verify(token, clock::now());
        known.map_err(|_| AuthenticateError::Invalid)
    }

    /// One process asks once a second at most, whatever tokens are shown to it.
    async fn load_keys_unless_fresh(&self) -> Result<(), String> {
        let mut asked = self.asked_for_keys.lock().await;
        if asked.is_some_and(|at| at.elapsed() < KEYS_AGAIN) {
            return Ok(());
        }
        self.load_keys().await?;
        *asked = Some(Instant::now());
        Ok(())
    }

    pub(super) async fn load_keys(&self) -> Result<(), String> {
        let mut client = self.client.clone();
        let answer = client.get_key_set(pb::GetKeySetRequest {}).await;
        let answer = answer.map_err(|status| status.to_string())?;
        let published = Jwks::from_json(answer.get_ref().jwks.as_bytes());
        let published = published.map_err(|error| error.to_string())?;
        let ring = KeyRing::verifying_only(&published).map_err(|error| error.to_string())?;
        self.tokens.replace_ring(Arc::new(ring));
        Ok(())
    }

    /// As identity says, or said within the last second; while it does not answer, what it said before.
    async fn standing(&self, session: SessionId) -> Result<Option<Standing>, String> {
        if let Some(known) = self.live.get(session) {
            return Ok(known);
        }
        let question = self.live.ask();
        let request = pb::GetStandingRequest {
            session_id: session.0.to_string(),
        };
        match self.client.clone().get_standing(request).await {
            Ok(answer) => {
                let standing = read(answer.into_inner())?;
                self.live.remember(question, session, standing.clone());
                Ok(standing)
            }
            Err(status) => {
                let before = self.live.last_known(session);
                before.ok_or_else(|| status.to_string())
            }
        }
    }
}

fn read(answer: pb::Standing) -> Result<Option<Standing>, String> {
    let Some(user) = answer.user_id else {
        return Ok(None);
    };
    let user = user.parse().map_err(|_| "a user's id that is none")?;
    let roles: Result<RoleSet, _> = answer.roles.join(" ").parse();
    // A role of a newer identity: what is known of the user is not enough to say what they may.
    let roles = roles.map_err(|_| "a role that this version does not know")?;
    Ok(Some(Standing { user, roles }))
}
