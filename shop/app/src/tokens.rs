//! Who a bearer token speaks for: users by identity's tokens, services by those that processes of the shop sign.

use std::sync::Arc;

use async_trait::async_trait;
use stanchion::auth::{Principal, ServiceTokens};
use stanchion::runtime::clock;
use stanchion::server::{Authenticate, AuthenticateError};

pub(crate) struct Tokens {
    pub(crate) users: Arc<dyn Authenticate>,
    pub(crate) services: ServiceTokens,
}

#[async_trait]
impl Authenticate for Tokens {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        if !ServiceTokens::is_one(token) {
            return self.users.authenticate(token).await;
        }
        let known = self.services.verify(token, clock::now());
        known.map_err(|_| AuthenticateError::Invalid)
    }
}
