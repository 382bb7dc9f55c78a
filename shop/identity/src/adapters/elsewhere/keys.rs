//! The keys that identity signs access tokens with.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use shop_contracts::grpc::identity::v1 as pb;
use stanchion::auth::key::{Jwks, KeyRing};
use stanchion::auth::token::Claims;
use stanchion::auth::{AccessTokens, TokenError};
use stanchion::runtime::clock;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::{ANSWERED_WITHIN, Client, detached, in_own_time};

/// How often the keys are asked for; and how soon again when identity did not answer and none are known.
pub(super) const KEYS_AGAIN: Duration = Duration::from_secs(1);

/// How soon when a token names a key that is not known while others are (row E12 of the fault tables).
pub(super) const UNKNOWN_AGAIN: Duration = Duration::from_secs(10);

/// How long a token that names a key nobody knows waits for the keys, while others are known: its bearer may be anybody.
const JOINED_FOR: Duration = Duration::from_millis(500);

/// What came of the one call that all who need the keys wait for.
type Told = watch::Receiver<Option<Result<(), String>>>;

/// What access tokens are checked with; empty before the first answer.
pub(super) struct Keys {
    client: Client,
    pub(super) tokens: AccessTokens,
    /// When a token last made us ask, and what came of it.
    asked: Mutex<Option<(Instant, Told)>>,
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

    /// Whether a token names a key that is not known, the one reason to ask for newer ones.
    pub(super) fn may_be_newer(&self, token: &str) -> bool {
        self.are_none() || self.tokens.names_unknown_key(token)
    }

    /// One process asks once in ten seconds at most, or once a second while it has no key, whatever tokens are shown to
    /// it; in a time of its own, so that no client uses that one call up by a deadline too short for it. Everybody else
    /// hears what the same call says.
    pub(super) async fn load_unless_asked(self: &Arc<Self>) -> Result<(), String> {
        let mut told = self.asking();
        let heard = async { told.wait_for(Option::is_some).await.ok()?.clone() };
        let answer = if self.are_none() {
            in_own_time(heard).await
        } else {
            in_own_time(timeout(JOINED_FOR, heard))
                .await
                .and_then(Result::ok)
        };
        // Without a word it ends only when the runtime does.
        let answer = answer.flatten();
        answer.unwrap_or_else(|| Err("identity has not told its keys in time".into()))
    }

    /// The call that is under way, or ended a moment ago; or a new one. It counts from its start, however it ends.
    fn asking(self: &Arc<Self>) -> Told {
        let again = if self.are_none() {
            KEYS_AGAIN
        } else {
            UNKNOWN_AGAIN
        };
        let mut asked = self.asked.lock();
        if let Some((at, told)) = &*asked
            && (at.elapsed() < again || is_under_way(told))
        {
            return told.clone();
        }
        let (tell, told) = watch::channel(None);
        let keys = Arc::clone(self);
        let load = async move { tell.send_replace(Some(keys.load_in_time().await)) };
        drop(detached("identity keys", load));
        *asked = Some((Instant::now(), told.clone()));
        told
    }

    #[cfg(test)]
    pub(super) fn asked_at(&self) -> Option<Instant> {
        self.asked.lock().as_ref().map(|(at, _)| *at)
    }

    pub(super) async fn load_in_time(&self) -> Result<(), String> {
        let loaded = timeout(ANSWERED_WITHIN, self.load()).await;
        loaded.unwrap_or_else(|_| Err("identity takes too long".into()))
    }

    async fn load(&self) -> Result<(), String> {
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

/// Whether its answer may still come; after a panic it does not.
fn is_under_way(told: &Told) -> bool {
    told.borrow().is_none() && told.has_changed().is_ok()
}
