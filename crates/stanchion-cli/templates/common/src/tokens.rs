//! Who a bearer token speaks for.

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use jiff::SignedDuration;
use stanchion::auth::key::{Jwks, KeyRing, SigningKey};
use stanchion::auth::token::Grant;
use stanchion::auth::{AccessTokens, Permissions, Principal};
use stanchion::config::ExposeSecret;
use stanchion::runtime::{clock, id};
use stanchion::server::{Authenticate, AuthenticateError};

use crate::settings::{AuthSettings, Settings};

/// How long the token that is printed in dev lives.
const DEV_TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(12);

/// Access tokens of one issuer for this service, verified here without asking anybody.
pub(crate) struct Tokens(AccessTokens);

impl Tokens {
    /// Of the configured issuer; in dev without one, of a key made now, with a token printed for a first look.
    pub(crate) fn of(settings: &Settings, running: bool) -> anyhow::Result<Self> {
        let AuthSettings {
            issuer,
            audience,
            jwks_file,
        } = &settings.auth;
        if let Some(file) = jwks_file {
            let keys = std::fs::read(file).with_context(|| file.display().to_string())?;
            let keys = Jwks::from_json(&keys).context("auth.jwks_file")?;
            let ring = KeyRing::verifying_only(&keys).context("auth.jwks_file")?;
            return Ok(Self(AccessTokens::new(issuer, audience, Arc::new(ring))));
        }
        let now = clock::now();
        let ring = Arc::new(KeyRing::of(SigningKey::generate(), now));
        let tokens = AccessTokens::new(issuer, audience, ring).with_ttl(DEV_TOKEN_LIFE);
        if running {
            let everything = Permissions::parse("admin:*")?;
            let grant = Grant::to_user(id::new_v7(), id::new_v7(), ["dev"], everything);
            let token = tokens.issue(&grant, now)?;
            println!("TOKEN={}", token.expose_secret());
        }
        Ok(Self(tokens))
    }
}

#[async_trait]
impl Authenticate for Tokens {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        let claims = self.0.verify(token, clock::now());
        let claims = claims.map_err(|_| AuthenticateError::Invalid)?;
        Ok(claims.into_principal())
    }
}
