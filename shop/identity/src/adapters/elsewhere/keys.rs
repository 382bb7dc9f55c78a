//! The keys that identity signs access tokens with.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shop_contracts::grpc::identity::v1 as pb;
use stanchion::auth::key::{Jwks, KeyRing};
use stanchion::auth::token::Claims;
use stanchion::auth::{AccessTokens, TokenError};
use stanchion::runtime::clock;
use tokio::time::{Instant, timeout};

use super::{ANSWERED_WITHIN, Client, detached, in_own_time};

/// How soon the keys are asked for again when identity did not answer, or a token names a key nobody knows.
pub(super) const KEYS_AGAIN: Duration = Duration::from_secs(1);

/// What access tokens are checked with; empty before the first answer.
pub(super) struct Keys {
    client: Client,
    pub(super) tokens: AccessTokens,
    /// When a token last made us ask.
    asked: Mutex<Option<Instant>>,
}

impl Keys {
    pub(super) fn new(client: Client, tokens: AccessTokens) -> Arc<Self> {
        let asked = Mutex::default();
        Arc::new(Self {
            client,
            tokens,
            asked,
        })
    }

    pub(super) fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        self.tokens.verify(token, clock::now())
    }

    pub(super) fn are_none(&self) -> bool {
        self.tokens.ring().jwks().keys.is_empty()
    }

    /// One process asks once a second at most, whatever tokens are shown to it; in a time of its own, so that no client
    /// uses that one call up by a deadline too short for it.
    pub(super) async fn load_unless_asked(self: &Arc<Self>) -> Result<(), String> {
        if !self.may_ask() {
            return Err("identity's keys were asked for a moment ago".into());
        }
        let keys = Arc::clone(self);
        let loading = detached("identity keys", async move { keys.load_in_time().await });
        match in_own_time(loading).await {
            Some(loaded) => loaded.map_err(|failed| failed.to_string())?,
            None => Err("identity has not told its keys in time".into()),
        }
    }

    /// Whether the last attempt is long enough ago; an attempt counts from its start, however it ends.
    fn may_ask(&self) -> bool {
        let mut asked = self.asked.lock();
        if asked.is_some_and(|at| at.elapsed() < KEYS_AGAIN) {
            return false;
        }
        *asked = Some(Instant::now());
        true
    }

    async fn load_in_time(&self) -> Result<(), String> {
        let loaded = timeout(ANSWERED_WITHIN, self.load()).await;
        loaded.unwrap_or_else(|_| Err("identity takes too long".into()))
    }

    pub(super) async fn load(&self) -> Result<(), String> {
        let mut client = self.client.clone();
        let answer = client.get_key_set(pb::GetKeySetRequest {}).await;
        let answer = answer.map_err(|status| status.to_string())?;
        let published = Jwks::from_json(answer.get_ref().jwks.as_bytes());
        let published = published.map_err(|error| error.to_string())?;
        let ring = KeyRing::verifying_only(&published).map_err(|error| error.to_string())?;
        self.tokens.replace_ring(Arc::new(ring));
        Ok(())
    }
}
