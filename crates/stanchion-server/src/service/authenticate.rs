use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use stanchion_auth::{AccessTokens, Principal};

use crate::context::Context;
use crate::{Access, Problem};

/// The longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Who a bearer token speaks for. [`AccessTokens`] is one.
#[async_trait]
pub trait Authenticate: Send + Sync {
    /// The principal of a token.
    ///
    /// # Errors
    /// See [`AuthenticateError`].
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError>;
}

/// Why a token gave no principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticateError {
    /// It is no valid token (any more); why is told to nobody.
    #[error("the token is not valid")]
    Invalid,
    /// It cannot be checked now.
    #[error("tokens cannot be checked: {0}")]
    Unavailable(String),
    /// Too many that came from there were none: this one was not looked at. When it may come again.
    #[error("too many tokens that came from there were not valid")]
    TooOften(Duration),
}

#[async_trait]
impl Authenticate for AccessTokens {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        let claims = self.verify(token, stanchion_runtime::clock::now());
        claims
            .map(|claims| claims.into_principal())
            .map_err(|_| AuthenticateError::Invalid)
    }
}

/// The service's way from headers to a principal.
#[derive(Clone)]
pub(crate) struct Authenticator(pub(crate) Option<Arc<dyn Authenticate>>);

impl Authenticator {
    /// Lets the caller in as the access says, and makes them the request's principal.
    pub(crate) async fn admit(
        &self,
        access: Access,
        headers: &HeaderMap,
        context: &Context,
    ) -> Result<(), Problem> {
        if access == Access::Public {
            return Ok(());
        }
        let Some(principal) = self.principal(headers).await? else {
            return match access {
                Access::Optional => Ok(()),
                _ => Err(Problem::unauthenticated()),
            };
        };
        Self::let_in(access, principal, context).await
    }

    /// Lets somebody in who is known, as the access says, and makes them the request's principal.
    pub(crate) async fn let_in(
        access: Access,
        principal: Principal,
        context: &Context,
    ) -> Result<(), Problem> {
        let lacks = match access {
            Access::Permission(name) if !principal.allows(name) => Some(name),
            _ => None,
        };
        let admission = &context.lent.admission;
        let counted = if admission.counts_callers() {
            Box::pin(admission.caller(&principal, context)).await
        } else {
            Ok(())
        };
        let _ = context.principal.set(principal);
        counted?;
        match lacks {
            Some(name) => Err(Problem::forbidden().with("permission", name)),
            None => Ok(()),
        }
    }

    /// The caller; `None` if no token was sent, 401 if a wrong one was.
    async fn principal(&self, headers: &HeaderMap) -> Result<Option<Principal>, Problem> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let token = value
            .to_str()
            .ok()
            .and_then(bearer)
            .filter(|_| values.next().is_none());
        let (Some(token), Some(tokens)) = (token, &self.0) else {
            return Err(invalid());
        };
        match tokens.authenticate(token).await {
            Ok(principal) => Ok(Some(principal)),
            Err(AuthenticateError::Invalid) => Err(invalid()),
            Err(error @ AuthenticateError::Unavailable(_)) => Err(Problem::unavailable(error)),
            Err(AuthenticateError::TooOften(wait)) => {
                Err(crate::codes::RATE_LIMITED.problem().retry_after(wait))
            }
        }
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let fits =
        scheme.eq_ignore_ascii_case("bearer") && (1..=TOKEN_BYTES_MAX).contains(&token.len());
    fits.then_some(token)
}

fn invalid() -> Problem {
    let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    crate::codes::UNAUTHENTICATED
        .problem()
        .header(WWW_AUTHENTICATE, challenge)
}
