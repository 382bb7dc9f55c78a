//! Callers by tokens of somebody else's issuers, and a door for routers that know nothing of callers.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use stanchion_auth::Principal;
use stanchion_auth::issuer::{IssuerError, Issuers};

use super::{Authenticate, AuthenticateError, Authenticator};
use crate::StatesAccess;
use crate::context::Context;

#[async_trait]
impl Authenticate for Issuers {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        let principal = self.principal(token, stanchion_runtime::clock::now()).await;
        principal.map_err(|error| match error {
            IssuerError::Invalid => AuthenticateError::Invalid,
            unavailable @ IssuerError::Unavailable { .. } => {
                AuthenticateError::Unavailable(unavailable.to_string())
            }
        })
    }
}

/// The same axum router, for callers alone whom `A` lets in, known by their bearer tokens.
///
/// `A` is [`Caller`](crate::Caller), [`Authorized<P>`](crate::Authorized) or [`Optional`](crate::Optional); a handler that
/// wants to know who it is takes a [`Caller`](crate::Caller). Everybody else is answered as everywhere: 401, 403, or 503
/// while tokens cannot be checked. It works within a [`Service`](crate::Service) alone.
pub fn only_for<A: StatesAccess>(router: Router, tokens: Arc<dyn Authenticate>) -> Router {
    let authenticator = Authenticator(Some(tokens));
    router.layer(from_fn(move |request: Request, next: Next| {
        let authenticator = authenticator.clone();
        async move { enter::<A>(&authenticator, request, next).await }
    }))
}

async fn enter<A: StatesAccess>(
    authenticator: &Authenticator,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let admitted = match Context::of(&parts) {
        Ok(context) => {
            let admitted = authenticator.admit(A::ACCESS, &parts.headers, &context);
            admitted.await
        }
        Err(problem) => Err(problem),
    };
    match admitted {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}
