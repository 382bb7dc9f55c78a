//! Keys: Ed25519 for signing, JWKs for others to verify with, rings and their rotation, encryption at rest.
//!
//! A key's life is *published → signing → verify-only → gone* ([`KeyState`]). [`rotation::plan`] says which step is
//! due; the store that keeps the keys carries it out and builds a new [`KeyRing`].

mod encryption;
mod jwk;
mod ring;
mod roca;
pub mod rotation;
mod verifying;

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use secrecy::{ExposeSecret, SecretSlice};
use stanchion_runtime::random;

pub use encryption::{KeyEncryptionKey, KeyId, NotAKey, OpenError};
pub use jwk::{Jwk, Jwks};
pub use ring::{KeyRing, RingError};
pub use rotation::{KeyChange, KeyRecord, KeyState, RotationPolicy};
pub use verifying::{Algorithm, VerifyingKey};

use crate::encoding::to_base64url;

/// An Ed25519 key that signs tokens; its `kid` is the RFC 7638 thumbprint of its public half.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    verifying: VerifyingKey,
}

/// A key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are no Ed25519 private key in PKCS#8 DER.
    #[error("not an Ed25519 private key in PKCS#8 DER")]
    NotPkcs8,
    /// A JWK whose parts do not make a key we verify with.
    #[error("key `{kid}` is unusable: {why}")]
    Unusable {
        /// Its `kid`, or nothing.
        kid: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A text that is no JWK set, or repeats a member.
    #[error("not a JWK set")]
    NotJwks,
    /// Two keys of one set answer to the same `kid`.
    #[error("two keys have the kid `{0}`")]
    DuplicateKid(String),
    /// A set holds a symmetric key: published, it would be everybody's.
    #[error("a JWK set holds a symmetric key")]
    Symmetric,
}

impl SigningKey {
    /// A new key, from the random bytes of [`stanchion_runtime`].
    #[must_use]
    pub fn generate() -> Self {
        let seed = SecretSlice::from(random::bytes::<32>().to_vec());
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose_secret())
            .expect("any 32 bytes are an Ed25519 seed");
        Self::from_pair(pair)
    }

    /// The key in this PKCS#8 DER (version 1 or 2).
    ///
    /// # Errors
    /// [`KeyError::NotPkcs8`] for anything else, keys of other kinds included.
    pub fn from_pkcs8(der: &SecretSlice<u8>) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_pkcs8(der.expose_secret())
            .map(Self::from_pair)
            .map_err(|_| KeyError::NotPkcs8)
    }

    /// The key as PKCS#8 DER, version 1; seal it with a [`KeyEncryptionKey`] before it is stored.
    #[must_use]
    pub fn to_pkcs8(&self) -> SecretSlice<u8> {
        let document = self
            .pair
            .to_pkcs8v1()
            .expect("a key that was made can be written");
        SecretSlice::from(document.as_ref().to_vec())
    }

    /// The name under which others find the public half.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.verifying.kid()
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// The Ed25519 signature of `message`, 64 bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    fn from_pair(pair: Ed25519KeyPair) -> Self {
        let jwk = Jwk::ed25519(to_base64url(pair.public_key()));
        let verifying = VerifyingKey::from_jwk(&jwk).expect("a pair's public half is a key");
        Self { pair, verifying }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({}, ***)", self.kid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::to_hex;

    #[test]
    fn a_key_survives_pkcs8() {
        let key = SigningKey::generate();
        let again = SigningKey::from_pkcs8(&key.to_pkcs8()).unwrap();
        assert_eq!(again.kid(), key.kid());
        assert_eq!(again.sign(b"x"), key.sign(b"x"));
    }

    #[test]
    fn what_is_no_ed25519_key_is_refused() {
        let p256 = aws_lc_rs::signature::EcdsaKeyPair::generate(
            &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        )
        .unwrap();
        let p256 = p256.to_pkcs8v1().unwrap().as_ref().to_vec();
        for other in [p256, Vec::new(), vec![0; 48]] {
            assert_eq!(
                SigningKey::from_pkcs8(&SecretSlice::from(other)).unwrap_err(),
                KeyError::NotPkcs8
            );
        }
    }

    #[test]
    fn a_signing_key_does_not_print_itself() {
        let key = SigningKey::generate();
        let seed = &key.to_pkcs8().expose_secret()[16..48].to_vec();
        let shown = format!("{key:?} {key:#?}");
        assert!(!shown.contains(&to_hex(seed)) && !shown.contains(&to_base64url(seed)));
        assert!(!shown.contains(&format!("{seed:?}")));
        assert!(shown.contains("***"));
    }
}
