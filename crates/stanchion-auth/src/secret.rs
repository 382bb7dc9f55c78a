//! Constant-time comparison, and MACs whose keys are separated by purpose.

use std::fmt;

use aws_lc_rs::{constant_time, hkdf, hmac};
use secrecy::{ExposeSecret, SecretString};
use stanchion_runtime::random;

use crate::encoding::{from_base64url, to_base64url};

/// The shortest server secret that is accepted, in bytes.
pub const SECRET_BYTES_MIN: usize = 32;

/// Bytes of a [`Tag`].
pub const TAG_BYTES: usize = 32;

/// The longest stamped text that [`Signer::read`] looks at, in bytes.
pub const STAMPED_BYTES_MAX: usize = 4 * 1024;

/// An HMAC-SHA256 tag.
pub type Tag = [u8; TAG_BYTES];

/// Separates this use of HKDF from every other that may share a server secret.
const SALT: &[u8] = b"stanchion.server-secret.v1";

/// What a signature is for; each purpose has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose(&'static str);

/// The server secret is too short to be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the server secret has {bytes} bytes and needs {SECRET_BYTES_MIN}; make one with `openssl rand -base64 32`"
)]
pub struct SecretTooShort {
    /// How many bytes it has.
    pub bytes: usize,
}

/// Signs what this service hands out and takes back: cursors, consistency tokens.
///
/// From one server secret it derives a key for each [`Purpose`] (HKDF-SHA256), so that a tag made for one never
/// passes for another. The same secret on every replica makes the same tags; a new secret voids all of them.
pub struct Signer {
    derivation: hkdf::Prk,
}

impl Purpose {
    /// Paging cursors.
    pub const CURSOR: Self = Self("cursor");
    /// Consistency tokens.
    pub const CONSISTENCY: Self = Self("consistency");

    /// A purpose of that name; names are part of what is signed, so a changed name voids old tags.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }
}

impl Signer {
    /// A signer from the server's secret, of which at least 32 bytes are needed.
    ///
    /// # Errors
    /// [`SecretTooShort`].
    pub fn new(secret: &SecretString) -> Result<Self, SecretTooShort> {
        let bytes = secret.expose_secret().as_bytes();
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(SecretTooShort { bytes: bytes.len() });
        }
        let derivation = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(bytes);
        Ok(Self { derivation })
    }

    /// The tag of `bytes` for that purpose.
    #[must_use]
    pub fn sign(&self, purpose: Purpose, bytes: &[u8]) -> Tag {
        tag_of(&self.key(purpose), bytes)
    }

    /// Whether `tag` is the one of `bytes` for that purpose, in constant time.
    #[must_use]
    pub fn verify(&self, purpose: Purpose, bytes: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.key(purpose), bytes, tag).is_ok()
    }

    /// `payload` with its tag as base64url text, to be given to a client; it is signed, not encrypted.
    #[must_use]
    pub fn stamp(&self, purpose: Purpose, payload: &[u8]) -> String {
        let mut stamped = self.sign(purpose, payload).to_vec();
        stamped.extend_from_slice(payload);
        to_base64url(stamped)
    }

    /// The payload of a text that [`Signer::stamp`] made for that purpose; `None` for anything else.
    #[must_use]
    pub fn read(&self, purpose: Purpose, text: &str) -> Option<Vec<u8>> {
        if text.len() > STAMPED_BYTES_MAX {
            return None;
        }
        let stamped = from_base64url(text)?;
        let (tag, payload) = stamped.split_at_checked(TAG_BYTES)?;
        self.verify(purpose, payload, tag).then(|| payload.to_vec())
    }

    fn key(&self, purpose: Purpose) -> hmac::Key {
        self.derivation
            .expand(&[purpose.0.as_bytes()], hmac::HMAC_SHA256)
            .expect("32 bytes are within what HKDF can give")
            .into()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Signer(***)")
    }
}

/// A new server secret of 256 random bits, for an embedded first start to store.
#[must_use]
pub fn generate() -> SecretString {
    SecretString::from(to_base64url(random::bytes::<SECRET_BYTES_MIN>()))
}

/// Whether two values are equal, in a time that depends on their lengths alone.
#[must_use]
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(one, other).is_ok()
}

/// HMAC-SHA256 under a key that somebody else chose, such as a payment gateway's webhook secret.
#[must_use]
pub fn hmac_sha256(key: &[u8], bytes: &[u8]) -> Tag {
    tag_of(&hmac::Key::new(hmac::HMAC_SHA256, key), bytes)
}

/// Whether `tag` is the HMAC-SHA256 of `bytes` under `key`, in constant time.
#[must_use]
pub fn hmac_sha256_matches(key: &[u8], bytes: &[u8], tag: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), bytes, tag).is_ok()
}

fn tag_of(key: &hmac::Key, bytes: &[u8]) -> Tag {
    hmac::sign(key, bytes)
        .as_ref()
        .try_into()
        .expect("SHA-256 gives 32 bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encoding::to_hex;

    const TEXT: &str = "0123456789abcdef0123456789abcdef";

    fn signer() -> Signer {
        Signer::new(&SecretString::from(TEXT)).unwrap()
    }

    #[test]
    fn a_cursor_never_passes_as_a_consistency_token() {
        let cursor = signer().stamp(Purpose::CURSOR, b"position 7");
        assert_eq!(
            signer().read(Purpose::CURSOR, &cursor).as_deref(),
            Some(&b"position 7"[..])
        );
        assert_eq!(signer().read(Purpose::CONSISTENCY, &cursor), None);
        let tag = signer().sign(Purpose::CURSOR, b"x");
        assert!(!signer().verify(Purpose::CONSISTENCY, b"x", &tag));
    }

    #[test]
    fn another_secret_makes_other_tags() {
        let other = Signer::new(&SecretString::from("f".repeat(32))).unwrap();
        let text = signer().stamp(Purpose::CURSOR, b"x");
        assert_eq!(other.read(Purpose::CURSOR, &text), None);
    }

    #[test]
    fn a_short_secret_is_refused_and_not_shown() {
        let refusal = Signer::new(&SecretString::from("hunter2hunter2")).unwrap_err();
        assert!(!format!("{refusal} {refusal:?}").contains("hunter2"));
        assert!(!format!("{:?}", signer()).contains("0123"));
    }

    #[test]
    fn a_generated_secret_is_long_enough_and_new_each_time() {
        let (one, other) = (generate(), generate());
        assert!(Signer::new(&one).is_ok());
        assert_ne!(one.expose_secret(), other.expose_secret());
    }

    #[test]
    fn hmac_is_the_one_of_rfc_4231() {
        let tag = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(
            to_hex(&tag),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert!(hmac_sha256_matches(
            b"Jefe",
            b"what do ya want for nothing?",
            &tag
        ));
        assert!(!hmac_sha256_matches(
            b"Jefe",
            b"what do ya want for nothing!",
            &tag
        ));
    }

    #[test]
    fn equal_compares_whole_values() {
        assert!(equal(b"", b"") && equal(b"abc", b"abc"));
        assert!(!equal(b"abc", b"abd") && !equal(b"abc", b"ab") && !equal(b"", b"a"));
    }

    #[test]
    fn an_oversized_text_is_not_looked_at() {
        let text = signer().stamp(Purpose::CURSOR, &[0; STAMPED_BYTES_MAX]);
        assert_eq!(signer().read(Purpose::CURSOR, &text), None);
    }

    proptest! {
        #[test]
        fn any_change_to_a_stamped_text_voids_it(
            payload in prop::collection::vec(any::<u8>(), 0..64),
            at in any::<prop::sample::Index>(),
            to in any::<u8>(),
        ) {
            let text = signer().stamp(Purpose::CURSOR, &payload);
            prop_assert_eq!(signer().read(Purpose::CURSOR, &text), Some(payload));
            let mut changed = text.clone().into_bytes();
            let at = at.index(changed.len());
            changed[at] = to;
            if let Ok(changed) = String::from_utf8(changed) && changed != text {
                prop_assert_eq!(signer().read(Purpose::CURSOR, &changed), None);
            }
            let mut truncated = text;
            truncated.pop();
            prop_assert_eq!(signer().read(Purpose::CURSOR, &truncated), None);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}") {
            prop_assert_eq!(signer().read(Purpose::CURSOR, &text), None);
        }
    }
}
