//! Tokens that are good for one use and a short time, such as in the link of a mail. The store is yours.
//!
//! A store keeps the [`OneTimeHash`] alone, with what it is for, whose it is and when it ends, and marks it used in the
//! same transaction as its effect:
//! ```sql
//! update one_time_tokens set used_at = $3
//! where hash = $1 and purpose = $2 and used_at is null and expires_at > $3
//! returning user_id
//! ```
//! No row means no effect, whatever the reason; every refusal is the same outside.

use std::fmt;

use aws_lc_rs::digest;
use secrecy::{ExposeSecret, SecretString};
use stanchion_runtime::random;

use crate::encoding::{from_base64url, to_base64url, to_hex};

/// What such a token begins with, so that people and scanners know one when they see it.
pub const PREFIX: &str = "ot_";

const TOKEN_BYTES: usize = 32;

/// A one-time token: `ot_` and 256 random bits in base64url. Sent once, stored never.
#[derive(Debug, Clone)]
pub struct OneTimeToken(SecretString);

/// The SHA-256 of a one-time token, which is all a store knows of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OneTimeHash([u8; 32]);

impl OneTimeToken {
    /// A new token.
    #[must_use]
    pub fn generate() -> Self {
        let random = to_base64url(random::bytes::<TOKEN_BYTES>());
        Self(SecretString::from(format!("{PREFIX}{random}")))
    }

    /// The token in this text; `None` for what cannot be one, without asking any store.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let random = from_base64url(text.strip_prefix(PREFIX)?)?;
        (random.len() == TOKEN_BYTES).then(|| Self(SecretString::from(text)))
    }

    /// What the store knows it by.
    #[must_use]
    pub fn hash(&self) -> OneTimeHash {
        let digest = digest::digest(&digest::SHA256, self.0.expose_secret().as_bytes());
        OneTimeHash(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }

    /// The text for whoever it is sent to.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl OneTimeHash {
    /// The bytes a store keeps.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for OneTimeHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "OneTimeHash({}…)", to_hex(&self.0[..4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_256_bits_and_read_as_it_was_made() {
        let token = OneTimeToken::generate();
        assert_eq!(token.expose().len(), PREFIX.len() + 43);
        let read = OneTimeToken::parse(token.expose()).unwrap();
        assert_eq!(read.hash(), token.hash());
        assert_ne!(OneTimeToken::generate().hash(), token.hash());
    }

    #[test]
    fn what_cannot_be_a_token_is_none() {
        let token = OneTimeToken::generate();
        let text = token.expose();
        let others = [
            String::new(),
            PREFIX.to_owned(),
            text[1..].to_owned(),
            text[..text.len() - 1].to_owned(),
            format!("{text}A"),
            format!(" {text}"),
            format!("{text}="),
            text.replacen("ot_", "rt_", 1),
            format!("{PREFIX}{}", "A".repeat(1 << 20)),
        ];
        for other in others {
            let shown: String = other.chars().take(60).collect();
            assert!(OneTimeToken::parse(&other).is_none(), "{shown}");
        }
    }

    #[test]
    fn a_token_shows_up_in_no_debug_output() {
        let token = OneTimeToken::generate();
        let shown = format!("{token:?} {:?}", token.hash());
        assert!(!shown.contains(&token.expose()[3..]), "{shown}");
    }
}
