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
        let principal = self.0.bearer(token).await?;
        principal.ok_or(AuthenticateError::Invalid)
    }
}

impl From<Failure> for AuthenticateError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Limited { refusal, .. } => {
                Self::TooOften(refusal.retry_after().unwrap_or_default())
            }
            failure => Self::Unavailable(failure.to_string()),
        }
    }
}
