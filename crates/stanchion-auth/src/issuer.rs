//! Other people's issuers: access tokens of an identity provider that somebody else runs.
//!
//! An [`Issuer`] is pinned by its exact `iss`, together with whom its tokens are for and the most that they may allow.
//! [`Issuers`] verifies tokens of the pinned ones by the keys that they publish:
//!
//! - **A token causes no fetch of its choosing.** Its `iss` picks one of the pinned issuers or none; where keys come
//!   from is what was pinned. `jku`, `x5u`, `x5c` and `jwk` in a header are refused unread.
//! - **Keys are cached** for what the answer's `max-age` says (1 min to 1 h, else
//!   [`JWKS_MAX_AGE`](crate::key::rotation::JWKS_MAX_AGE)), then asked for again
//!   behind the callers' backs. While the issuer does not answer they count for [`STALE_MAX`] after the last answer.
//! - **One fetch at a time** an issuer, whoever waits for it. A key that nobody has met is asked for at most once in
//!   [`UNKNOWN_AGAIN`] whatever is sent, and the same one again after [`UNKNOWN_KEPT`].
//! - **Nothing of it survives a restart**; the first token after one waits for the keys.
//!
//! What fetches is a [`Fetch`], which has the transport and guards it.

mod claims;
mod documents;
mod fetch;
mod keeping;
mod known;
mod metrics;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use stanchion_telemetry::Metrics;

pub use claims::{ForeignClaims, user_of};
pub use fetch::{Fetch, Fetched};
pub use keeping::{MAX_AGE_MAX, MAX_AGE_MIN, STALE_MAX, UNKNOWN_AGAIN, UNKNOWN_KEPT, UNKNOWN_MAX};

use self::known::{Known, NoKeys};
use self::metrics::IssuerMetrics;
use crate::key::{Algorithms, KeyRing};
use crate::permission::Permissions;
use crate::principal::Principal;
use crate::token::jws::{Refusal, Unverified};
use crate::token::{LEEWAY, TYPE};

/// The most issuers that one service trusts.
pub const ISSUERS_MAX: usize = 64;

type Grants = Arc<dyn Fn(&ForeignClaims) -> Permissions + Send + Sync>;

/// One issuer that is trusted, as far as this says.
///
/// ```
/// use stanchion_auth::{Permissions, issuer::Issuer};
///
/// let issuer = Issuer::discovered("https://login.example/realms/shop", "hello")
///     .permitting(Permissions::parse("order:read order:write")?);
/// # Ok::<(), stanchion_auth::permission::PermissionError>(())
/// ```
#[derive(Clone)]
pub struct Issuer {
    iss: String,
    audience: String,
    keys: Source,
    algorithms: Algorithms,
    types: Vec<String>,
    leeway: SignedDuration,
    among_others: bool,
    most: Permissions,
    grants: Option<Grants>,
}

/// Where an issuer's keys come from.
#[derive(Clone)]
pub(crate) enum Source {
    /// Its `/.well-known/openid-configuration` says where.
    Discovery,
    Jwks(String),
    Fixed(Arc<KeyRing>),
}

/// The issuers that a service trusts, and what is known of their keys. Shared by reference.
pub struct Issuers {
    known: BTreeMap<String, Arc<Known>>,
}

/// Why a foreign token does not let its bearer in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// Malformed, forged, expired, of an issuer that is not trusted, or meant for somebody else. The reason is in the
    /// log, at `debug`.
    #[error("the access token is invalid or has expired")]
    Invalid,
    /// Its issuer's keys are not known and cannot be had at present.
    #[error("the keys of {issuer} cannot be had: {why}")]
    Unavailable {
        /// The issuer.
        issuer: String,
        /// What its last answer was.
        why: String,
    },
}

/// Issuers that cannot be trusted as they are given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuersError {
    /// No URL, or one with a query or fragment.
    #[error("`{0}` is no issuer: write https://HOST[:PORT][/PATH], exactly as in its tokens")]
    Malformed(String),
    /// Twice the same.
    #[error("the issuer `{0}` is given twice")]
    Twice(String),
    /// More than [`ISSUERS_MAX`].
    #[error("more than {ISSUERS_MAX} issuers")]
    TooMany,
}

impl Issuer {
    /// The issuer of exactly that `iss`, whose tokens for `audience` count; its keys are found by OpenID Connect
    /// discovery at `iss` + `/.well-known/openid-configuration`, which must name the same issuer.
    ///
    /// Tokens must be `typ: at+jwt` (RFC 9068), signed with EdDSA, ES256 or RS256, and allow nothing until
    /// [`permitting`](Self::permitting) or [`granting`](Self::granting) says so.
    #[must_use]
    pub fn discovered(iss: impl Into<String>, audience: impl Into<String>) -> Self {
        Self::of(iss.into(), audience.into(), Source::Discovery)
    }

    /// Likewise, with its JWK set at that URL.
    #[must_use]
    pub fn with_jwks(
        iss: impl Into<String>,
        audience: impl Into<String>,
        url: impl Into<String>,
    ) -> Self {
        Self::of(iss.into(), audience.into(), Source::Jwks(url.into()))
    }

    /// Likewise, with keys that the operator hands over, which are never fetched; see [`KeyRing::configured`].
    #[must_use]
    pub fn with_keys(iss: impl Into<String>, audience: impl Into<String>, keys: KeyRing) -> Self {
        Self::of(iss.into(), audience.into(), Source::Fixed(Arc::new(keys)))
    }

    fn of(iss: String, audience: String, keys: Source) -> Self {
        Self {
            iss,
            audience,
            keys,
            algorithms: Algorithms::USUAL,
            types: vec![TYPE.to_owned()],
            leeway: LEEWAY,
            among_others: false,
            most: Permissions::none(),
            grants: None,
        }
    }

    /// The same with other algorithms. Secrets ([`Algorithms::HMAC`]) are never taken from what is fetched.
    #[must_use]
    pub fn algorithms(self, algorithms: Algorithms) -> Self {
        Self { algorithms, ..self }
    }

    /// The same with tokens of these `typ`s, compared letter by letter; `""` stands for a header without one.
    ///
    /// Some issuers write `JWT` on access tokens and ID tokens alike. Where that is taken, give the API an audience
    /// that no client of the issuer has, or its ID tokens pass too.
    #[must_use]
    pub fn types(self, types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let types = types.into_iter().map(Into::into).collect();
        Self { types, ..self }
    }

    /// The same with less leeway; more than 30 s become 30 s.
    #[must_use]
    pub fn leeway(self, leeway: SignedDuration) -> Self {
        let leeway = leeway.clamp(SignedDuration::ZERO, LEEWAY);
        Self { leeway, ..self }
    }

    /// The same with tokens that are for others too. Each of those can then use a token that it was sent here
    /// (RFC 8725, 3.9), so by default a token is for us alone.
    #[must_use]
    pub fn among_other_audiences(self) -> Self {
        Self {
            among_others: true,
            ..self
        }
    }

    /// The same with the most that its tokens may allow: of the words of `scope` (or `scp`) those count that are
    /// permissions held by `most`.
    #[must_use]
    pub fn permitting(self, most: Permissions) -> Self {
        Self { most, ..self }
    }

    /// The same with permissions by a rule of your own, from roles or groups for example; `permitting` is still the most.
    #[must_use]
    pub fn granting(
        self,
        rule: impl Fn(&ForeignClaims) -> Permissions + Send + Sync + 'static,
    ) -> Self {
        Self {
            grants: Some(Arc::new(rule)),
            ..self
        }
    }
}

impl Issuers {
    /// These, fetched for by `fetch` and counted under their `iss` in `stanchion_issuer_*`. Nothing is fetched yet.
    ///
    /// # Errors
    /// [`IssuersError`].
    pub fn new(
        issuers: impl IntoIterator<Item = Issuer>,
        fetch: Arc<dyn Fetch>,
        metrics: &Metrics,
    ) -> Result<Self, IssuersError> {
        let metrics = IssuerMetrics::new(metrics);
        let mut known = BTreeMap::new();
        for issuer in issuers {
            if !documents::is_issuer(&issuer.iss) {
                return Err(IssuersError::Malformed(issuer.iss));
            }
            let iss = issuer.iss.clone();
            let of_it = Known::new(issuer, Arc::clone(&fetch), metrics.of(&iss));
            if known.insert(iss.clone(), of_it).is_some() {
                return Err(IssuersError::Twice(iss));
            }
        }
        if known.len() > ISSUERS_MAX {
            return Err(IssuersError::TooMany);
        }
        Ok(Self { known })
    }

    /// Loads the keys of every issuer that has none yet: for a start that would rather wait than its first caller.
    ///
    /// # Errors
    /// [`IssuerError::Unavailable`], of the first that has none afterwards; the others are loaded nevertheless.
    pub async fn load(&self) -> Result<(), IssuerError> {
        let mut missing = Ok(());
        for known in self.known.values() {
            if let Err(why) = known.load_first().await {
                missing = missing.and(Err(IssuerError::Unavailable {
                    issuer: known.issuer.iss.clone(),
                    why,
                }));
            }
        }
        missing
    }

    /// What a token of one of these issuers says, if it holds and lives at `now`.
    ///
    /// Waits for the issuer's keys while none are known (10 s at most), and up to 2 s for a key that is not known.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<ForeignClaims, IssuerError> {
        let (_, claims) = self.verified(token, now).await?;
        Ok(claims)
    }

    /// The caller that such a token stands for: a user whose id is [`user_of`] issuer and subject, with no session and
    /// the permissions that the issuer may give.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub async fn principal(&self, token: &str, now: Timestamp) -> Result<Principal, IssuerError> {
        let (known, claims) = self.verified(token, now).await?;
        Ok(claims::principal(&known.issuer, &claims))
    }

    async fn verified(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<(&Known, ForeignClaims), IssuerError> {
        let unverified = Unverified::parse(token).map_err(refused)?;
        let iss = unverified.issuer().ok_or(Refusal::Claim("iss"));
        let iss = iss.map_err(refused)?;
        let known = self.known.get(&iss).ok_or(Refusal::Issuer);
        let known = known.map_err(refused)?;
        let ring = known.ring_for(unverified.kid().map_err(refused)?).await;
        let ring = ring.map_err(|none| match none {
            NoKeys::Unknown => refused(Refusal::UnknownKey),
            NoKeys::Unavailable(why) => IssuerError::Unavailable { issuer: iss, why },
        })?;
        let claims = unverified
            .verify(&ring)
            .and_then(|jws| claims::read(&known.issuer, &jws, now));
        Ok((known, claims.map_err(refused)?))
    }
}

fn refused(reason: Refusal) -> IssuerError {
    tracing::debug!(%reason, "a foreign access token was refused");
    IssuerError::Invalid
}

impl fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Issuer")
            .field("iss", &self.iss)
            .field("audience", &self.audience)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Issuers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.known.keys()).finish()
    }
}

#[cfg(test)]
mod tests;
