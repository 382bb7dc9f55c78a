//! Keys: for signing, JWKs for others to verify with, rings and their rotation, encryption at rest.
//!
//! A key's life is *published → signing → verify-only → gone* ([`KeyState`]). [`rotation::plan`] says which step is
//! due; the store that keeps the keys carries it out and builds a new [`KeyRing`].

mod algorithm;
mod encryption;
mod held;
mod jwk;
mod operated;
mod ring;
mod roca;
pub mod rotation;
mod shared;
mod signing;
mod verifying;

pub use algorithm::{Algorithm, Algorithms, NotASigningAlgorithm, SigningAlgorithm};
pub use encryption::{KeyEncryptionKey, KeyId, NotAKey, OpenError};
pub use jwk::{Jwk, Jwks};
pub use operated::{KeyListing, OperatedKeys};
pub use ring::{KeyRing, RingError};
pub use rotation::{KeyChange, KeyRecord, KeyState, RotationPolicy};
pub use signing::SigningKey;
pub use verifying::VerifyingKey;

/// A key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are no private key of a kind that we sign with, in PKCS#8 DER.
    #[error("not an Ed25519, P-256 or RSA private key in PKCS#8 DER")]
    NotPkcs8,
    /// The crypto provider made no key.
    #[error("no key could be generated")]
    NotGenerated,
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
    /// A set holds a symmetric key beside public ones, or where only public ones may be: published, it would be
    /// everybody's.
    #[error("a JWK set holds a symmetric key")]
    Symmetric,
}
