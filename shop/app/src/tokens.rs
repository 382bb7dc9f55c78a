//! Who a bearer token speaks for: users by identity's tokens, services by those that processes of the shop sign.

use std::sync::Arc;

use async_trait::async_trait;
use stanchion::auth::{Principal, ServiceTokens};
use stanchion::runtime::clock;
use stanchion::server::{Authenticate, AuthenticateError};

pub(crate) struct Tokens {
    pub(crate) users: Arc<dyn Authenticate>,
    pub(crate) services: ServiceTokens,
    /// The contexts that this process has: tokens for others are not for it.
    pub(crate) served: Vec<&'static str>,
}

#[async_trait]
impl Authenticate for Tokens {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        if !ServiceTokens::is_one(token) {
            return self.users.authenticate(token).await;
        }
        let is_served = |service: &str| self.served.contains(&service);
        let known = self.services.verify(token, is_served, clock::now());
        known.map_err(|_| AuthenticateError::Invalid)
    }
}
