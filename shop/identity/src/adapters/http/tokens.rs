//! How the server learns who calls.

use std::sync::Arc;

use async_trait::async_trait;
use stanchion::auth::Principal;
use stanchion::server::{Authenticate, AuthenticateError};

use crate::application::{Failure, Identity};

/// Access tokens, as long as their session is live and their user active.
pub(crate) struct SessionTokens(pub(crate) Arc<Identity>);

#[async_trait]
impl Authenticate for SessionTokens {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        match self.0.bearer(token).await {
            Ok(principal) => principal.ok_or(AuthenticateError::Invalid),
            Err(Failure::Limited { refusal, .. }) => {
                let wait = refusal.retry_after().unwrap_or_default();
                Err(AuthenticateError::TooOften(wait))
            }
            Err(failure) => Err(AuthenticateError::Unavailable(failure.to_string())),
        }
    }
}
