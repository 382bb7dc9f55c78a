//! Access tokens: JWTs of one strict shape, issued and verified against a pinned ring of keys.
//!
//! A token is `typ: at+jwt` and holds exactly `iss`, `aud`, `sub`, `exp`, `iat`, `jti`, `sid` (users only), `scope`
//! and `roles`. Whatever else it says, the key is found in the ring by exact `kid`, and the key says the algorithm:
//! a token can choose neither, nor make the verifier fetch anything.

pub(crate) mod claims;
pub mod jws;

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::RwLock;
use secrecy::SecretString;
use stanchion_runtime::id;

pub use claims::{Claims, Grant};
pub use jws::Refusal;

use crate::key::KeyRing;

/// How long an access token lives by default.
pub const ACCESS_TTL: SignedDuration = SignedDuration::from_mins(15);

/// How far clocks may differ, and the most that may be configured.
pub const LEEWAY: SignedDuration = SignedDuration::from_secs(30);

/// The longest life that may be configured.
pub const ACCESS_TTL_MAX: SignedDuration = SignedDuration::from_hours(24);

/// The longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The `typ` of an access token (RFC 9068): no other kind of token passes for one.
pub const TYPE: &str = "at+jwt";

/// Issues and verifies the access tokens of one issuer and audience.
///
/// Shared by reference; [`replace_ring`](Self::replace_ring) puts rotated keys in place while it is in use.
pub struct AccessTokens {
    issuer: String,
    audience: String,
    ttl: SignedDuration,
    leeway: SignedDuration,
    ring: RwLock<Arc<KeyRing>>,
}

/// Why a token does not let its bearer in.
///
/// One error for every reason: a client learns nothing from it. The reason is in the log, at `debug`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Malformed, forged, expired, or meant for somebody else.
    #[error("the access token is invalid or has expired")]
    Invalid,
}

/// Why no token could be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The ring only verifies.
    #[error("no key signs here; only the process that owns the keys issues tokens")]
    NoSigningKey,
    /// Too many roles or permissions for one token.
    #[error("the token would exceed {TOKEN_BYTES_MAX} bytes or 32 roles; use wildcard permissions")]
    TooLarge,
    /// The `typ` of an access token where claims are signed that are somebody else's.
    #[error("claims of others are no access token; issue one for a grant")]
    AccessToken,
}

impl AccessTokens {
    /// Tokens of that `iss` and `aud`, living 15 minutes, checked with 30 s of leeway.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>, ring: Arc<KeyRing>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            ttl: ACCESS_TTL,
            leeway: LEEWAY,
            ring: RwLock::new(ring),
        }
    }

    /// The same with another life, in whole seconds, at least one and at most a day.
    ///
    /// Rotate the keys by [`RotationPolicy::for_tokens_of`](crate::key::RotationPolicy::for_tokens_of) the same life.
    #[must_use]
    pub fn with_ttl(self, ttl: SignedDuration) -> Self {
        let ttl = ttl.clamp(SignedDuration::from_secs(1), ACCESS_TTL_MAX);
        Self { ttl, ..self }
    }

    /// The same with less leeway; more than 30 s become 30 s.
    #[must_use]
    pub fn with_leeway(self, leeway: SignedDuration) -> Self {
        let leeway = leeway.clamp(SignedDuration::ZERO, LEEWAY);
        Self { leeway, ..self }
    }

    /// The same for another `aud`, with the keys of now: neither takes the tokens of the other. Make it anew for each use,
    /// because keys that are put in place later do not reach it.
    #[must_use]
    pub fn for_audience(&self, audience: impl Into<String>) -> Self {
        Self {
            issuer: self.issuer.clone(),
            audience: audience.into(),
            ttl: self.ttl,
            leeway: self.leeway,
            ring: RwLock::new(self.ring()),
        }
    }

    /// How long a token lives: `expires_in`.
    #[must_use]
    pub fn ttl(&self) -> SignedDuration {
        self.ttl
    }

    /// `iss` of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The keys in use.
    #[must_use]
    pub fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read())
    }

    /// Puts other keys in place; calls that have begun finish with the former ones.
    ///
    /// Of a key that stays, what is remembered stays too, unless `ring` is held elsewhere already.
    pub fn replace_ring(&self, mut ring: Arc<KeyRing>) {
        let mut current = self.ring.write();
        if let Some(ring) = Arc::get_mut(&mut ring) {
            ring.remember_as(&current);
        }
        *current = ring;
    }

    /// A token for that grant, valid from `now`. Each call makes a new `jti`.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn issue(&self, grant: &Grant, now: Timestamp) -> Result<SecretString, IssueError> {
        let ring = self.ring();
        let key = ring.signing().ok_or(IssueError::NoSigningKey)?;
        let payload = claims::write(self, grant, id::new_v7(), now).ok_or(IssueError::TooLarge)?;
        let token = jws::sign(TYPE, &payload, key);
        if token.len() > TOKEN_BYTES_MAX {
            return Err(IssueError::TooLarge);
        }
        Ok(SecretString::from(token))
    }

    /// Other claims as a JWT of that `typ`, signed by the key that signs now; see [`KeyRing::sign`].
    ///
    /// # Errors
    /// As [`KeyRing::sign`].
    pub fn sign(
        &self,
        typ: &str,
        claims: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<SecretString, IssueError> {
        self.ring().sign(typ, claims)
    }

    /// Whether a well-formed token names a key that is unknown here: the one reason to ask for newer keys.
    ///
    /// Its name is the bearer's word, so whoever asks bounds how often.
    #[must_use]
    pub fn names_unknown_key(&self, token: &str) -> bool {
        jws::Unverified::parse(token).is_ok_and(|unverified| {
            unverified
                .kid()
                .is_ok_and(|kid| self.ring().verifying(kid).is_none())
        })
    }

    /// What a token grants, if it is one of ours and lives at `now`.
    ///
    /// # Errors
    /// [`TokenError::Invalid`], whatever is wrong.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        self.examine(token, now).map_err(|reason| {
            tracing::debug!(%reason, "an access token was refused");
            TokenError::Invalid
        })
    }

    fn examine(&self, token: &str, now: Timestamp) -> Result<Claims, Refusal> {
        let signed = jws::verify(token, &self.ring())?;
        if signed.typ.as_deref() != Some(TYPE) {
            return Err(Refusal::Type);
        }
        claims::read(self, &signed.payload, now)
    }
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AccessTokens")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
