use std::fmt;

use aws_lc_rs::digest;
use secrecy::{ExposeSecret, SecretString};
use stanchion_runtime::random;

use crate::encoding::{from_base64url, to_base64url, to_hex};
use crate::secret::equal;

const RANDOM_BYTES: usize = 32;

/// What an opaque token begins with, so that people and scanners know one when they see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix(&'static str);

/// A secret that is looked up or compared, never read: a prefix and 256 random bits in base64url.
///
/// Shown once, stored as [`OpaqueDigest`]: 256 random bits cannot be guessed, so a slow hash would add nothing but time.
///
/// ```
/// use stanchion_auth::oauth::{OpaqueToken, Prefix};
///
/// let secret = OpaqueToken::generate(Prefix::CLIENT_SECRET);
/// let stored = secret.digest();
/// let presented = OpaqueToken::parse(Prefix::CLIENT_SECRET, secret.expose()).unwrap();
/// assert!(stored.matches(&presented));
/// ```
#[derive(Debug, Clone)]
pub struct OpaqueToken(SecretString);

/// The SHA-256 of an opaque token, which is all a store knows of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpaqueDigest([u8; 32]);

impl Prefix {
    /// A client's secret.
    pub const CLIENT_SECRET: Self = Self("cs_");
    /// An authorization code.
    pub const CODE: Self = Self("ac_");
    /// What ties a form to the browser that was shown it, and a style to its page.
    pub const PAGE: Self = Self("pg_");
}

impl OpaqueToken {
    /// A new one.
    #[must_use]
    pub fn generate(prefix: Prefix) -> Self {
        let random = to_base64url(random::bytes::<RANDOM_BYTES>());
        Self(SecretString::from(format!("{}{random}", prefix.0)))
    }

    /// The one in this text; `None` for what cannot be one, without asking any store.
    #[must_use]
    pub fn parse(prefix: Prefix, text: &str) -> Option<Self> {
        let random = from_base64url(text.strip_prefix(prefix.0)?)?;
        (random.len() == RANDOM_BYTES).then(|| Self(SecretString::from(text)))
    }

    /// What a store keeps of it.
    #[must_use]
    pub fn digest(&self) -> OpaqueDigest {
        let digest = digest::digest(&digest::SHA256, self.0.expose_secret().as_bytes());
        OpaqueDigest(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }

    /// The text for whom it is for.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl OpaqueDigest {
    /// The bytes a store keeps.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether it is the digest of that token, in constant time.
    #[must_use]
    pub fn matches(&self, presented: &OpaqueToken) -> bool {
        equal(&self.0, presented.digest().as_bytes())
    }
}

impl From<[u8; 32]> for OpaqueDigest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for OpaqueDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpaqueDigest({}…)", to_hex(&self.0[..4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_matches_its_own_digest_and_no_other() {
        let (one, other) = (
            OpaqueToken::generate(Prefix::CODE),
            OpaqueToken::generate(Prefix::CODE),
        );
        assert!(one.digest().matches(&one) && !one.digest().matches(&other));
        let stored = OpaqueDigest::from(*one.digest().as_bytes());
        assert_eq!(stored, one.digest());
    }

    #[test]
    fn one_kind_never_passes_for_another() {
        let code = OpaqueToken::generate(Prefix::CODE);
        assert!(OpaqueToken::parse(Prefix::CODE, code.expose()).is_some());
        assert!(OpaqueToken::parse(Prefix::CLIENT_SECRET, code.expose()).is_none());
        for other in ["", "ac_", "ac_AA", &code.expose()[..20], "rt_AAAA"] {
            assert!(OpaqueToken::parse(Prefix::CODE, other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_token_does_not_print_itself() {
        let secret = OpaqueToken::generate(Prefix::CLIENT_SECRET);
        assert!(!format!("{secret:?}").contains(&secret.expose()[3..]));
    }
}
