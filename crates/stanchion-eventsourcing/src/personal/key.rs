use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use stanchion_runtime::random;

const KEY_BYTES: usize = 32;

/// First byte of what is sealed: AES-256-GCM with a random nonce.
const FORMAT: u8 = 1;

const ID_BYTES: usize = 8;
const HEADER_BYTES: usize = SealingKey::MARK_BYTES + NONCE_LEN;

/// An AES-256-GCM key: a subject's, or the master key that seals the subjects' keys at rest.
///
/// A sealed value is `format (1) ‖ key id (8) ‖ nonce (12) ‖ ciphertext and tag (16)`, all of it and
/// what it is bound to authenticated. The nonce is random: one key may seal 2^32 values. Its length
/// tells the value's length.
#[derive(Clone)]
pub struct SealingKey(Arc<Inner>);

struct Inner {
    id: [u8; ID_BYTES],
    bytes: SecretSlice<u8>,
    key: LessSafeKey,
}

/// A sealed value that does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// Too short, of an unknown format, or not base64url.
    #[error("not a sealed value")]
    NotSealed,
    /// Sealed with another key.
    #[error("sealed with the key {sealed_by}, not with {have}")]
    OtherKey {
        /// The fingerprint of the key that sealed it.
        sealed_by: String,
        /// The fingerprint of the key that was tried.
        have: String,
    },
    /// Changed since, or bound to something else.
    #[error("changed since it was sealed, or sealed for something else")]
    Tampered,
}

/// A text or bytes that are no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key is {KEY_BYTES} random bytes in base64; make one with `openssl rand -base64 32`")]
pub struct NotASealingKey;

impl SealingKey {
    /// The length of a [`mark`](Self::mark).
    pub const MARK_BYTES: usize = 1 + ID_BYTES;

    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        let bytes = SecretSlice::from(random::bytes::<KEY_BYTES>().to_vec());
        Self::from_bytes(bytes).expect("32 bytes are a key")
    }

    /// A new key as text for [`SealingKey::from_text`], to be stored by an embedded first start.
    #[must_use]
    pub fn generate_text() -> SecretString {
        SecretString::from(URL_SAFE_NO_PAD.encode(random::bytes::<KEY_BYTES>()))
    }

    /// The key in this text: 32 bytes in base64 or unpadded base64url, whitespace around it ignored.
    ///
    /// # Errors
    /// [`NotASealingKey`], which does not show the text.
    pub fn from_text(text: &SecretString) -> Result<Self, NotASealingKey> {
        let text = text.expose_secret().trim();
        let bytes = STANDARD
            .decode(text)
            .or_else(|_| URL_SAFE_NO_PAD.decode(text));
        Self::from_bytes(SecretSlice::from(bytes.unwrap_or_default()))
    }

    fn from_bytes(bytes: SecretSlice<u8>) -> Result<Self, NotASealingKey> {
        let raw = bytes.expose_secret();
        let key = UnboundKey::new(&AES_256_GCM, raw).map_err(|_| NotASealingKey)?;
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, raw),
            b"stanchion.sealing-key-id.v1",
        );
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&tag.as_ref()[..ID_BYTES]);
        let key = LessSafeKey::new(key);
        Ok(Self(Arc::new(Inner { id, bytes, key })))
    }

    /// Its name, which tells nothing of it: 16 hexadecimal digits, the same wherever the key is.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex(&self.0.id)
    }

    /// What everything sealed with this key begins with: format and key id.
    #[must_use]
    pub fn mark(&self) -> Vec<u8> {
        [&[FORMAT][..], &self.0.id].concat()
    }

    /// The fingerprint of the key that sealed this, or what begins it.
    ///
    /// # Errors
    /// [`NotOpened::NotSealed`]
    pub fn fingerprint_of(sealed: &[u8]) -> Result<String, NotOpened> {
        match sealed.get(..Self::MARK_BYTES) {
            Some([FORMAT, id @ ..]) => Ok(hex(id)),
            _ => Err(NotOpened::NotSealed),
        }
    }

    /// `plain` encrypted; only the same `bound` opens it again.
    #[must_use]
    pub fn seal(&self, plain: &[u8], bound: &[u8]) -> Vec<u8> {
        let nonce = random::bytes::<NONCE_LEN>();
        let mut sealed = Vec::with_capacity(HEADER_BYTES + plain.len() + AES_256_GCM.tag_len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.0.id);
        sealed.extend_from_slice(&nonce);
        let bound = self.bound(bound);
        sealed.extend_from_slice(plain);
        let tag = self
            .0
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound),
                &mut sealed[HEADER_BYTES..],
            )
            .expect("a field is far below the 64 GiB that GCM can encrypt");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// What [`SealingKey::seal`] encrypted.
    ///
    /// # Errors
    /// See [`NotOpened`].
    pub fn open(&self, sealed: &[u8], bound: &[u8]) -> Result<Vec<u8>, NotOpened> {
        if sealed.len() < HEADER_BYTES + AES_256_GCM.tag_len() || sealed[0] != FORMAT {
            return Err(NotOpened::NotSealed);
        }
        let (header, cipher) = sealed.split_at(HEADER_BYTES);
        let (id, nonce) = header[1..].split_at(ID_BYTES);
        if id != self.0.id {
            return Err(NotOpened::OtherKey {
                sealed_by: hex(id),
                have: self.fingerprint(),
            });
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOpened::NotSealed)?;
        let mut buffer = cipher.to_vec();
        let opened = self
            .0
            .key
            .open_in_place(nonce, Aad::from(self.bound(bound)), &mut buffer)
            .map_err(|_| NotOpened::Tampered)?;
        Ok(opened.to_vec())
    }

    /// This key, sealed with a master key for `subject`.
    #[must_use]
    pub fn sealed_by(&self, master: &Self, subject: &str) -> Vec<u8> {
        master.seal(self.0.bytes.expose_secret(), subject.as_bytes())
    }

    /// The key that [`SealingKey::sealed_by`] sealed.
    ///
    /// # Errors
    /// See [`NotOpened`].
    pub fn opened_by(master: &Self, sealed: &[u8], subject: &str) -> Result<Self, NotOpened> {
        let bytes = master.open(sealed, subject.as_bytes())?;
        Self::from_bytes(SecretSlice::from(bytes)).map_err(|_| NotOpened::NotSealed)
    }

    pub(super) fn seal_text(&self, plain: &[u8], bound: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.seal(plain, bound))
    }

    pub(super) fn open_text(&self, sealed: &str, bound: &[u8]) -> Result<Vec<u8>, NotOpened> {
        let sealed = URL_SAFE_NO_PAD
            .decode(sealed)
            .map_err(|_| NotOpened::NotSealed)?;
        self.open(&sealed, bound)
    }

    /// Format and key are bound with it, so that neither can be exchanged.
    fn bound(&self, bound: &[u8]) -> Vec<u8> {
        [&[FORMAT][..], &self.0.id, bound].concat()
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({}, ***)", self.fingerprint())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_subjects_key_opens_only_with_its_master_and_for_its_subject() {
        let (master, other, key) = (
            SealingKey::generate(),
            SealingKey::generate(),
            SealingKey::generate(),
        );
        let sealed = key.sealed_by(&master, "a");
        let again = SealingKey::opened_by(&master, &sealed, "a").unwrap();
        assert_eq!(again.open(&key.seal(b"x", b""), b"").unwrap(), b"x");
        assert_eq!(
            SealingKey::opened_by(&master, &sealed, "b").unwrap_err(),
            NotOpened::Tampered
        );
        assert!(matches!(
            SealingKey::opened_by(&other, &sealed, "a"),
            Err(NotOpened::OtherKey { .. })
        ));
    }

    #[test]
    fn a_key_is_read_from_its_text_and_does_not_print_itself() {
        let text = SealingKey::generate_text();
        let key = SealingKey::from_text(&text).unwrap();
        assert!(!format!("{key:?}").contains(text.expose_secret()));
        for wrong in ["", "hunter2", &URL_SAFE_NO_PAD.encode([1; 31])] {
            let refused = SealingKey::from_text(&SecretString::from(wrong.to_owned()));
            assert_eq!(refused.unwrap_err(), NotASealingKey);
        }
    }

    proptest! {
        #[test]
        fn any_change_or_cut_keeps_it_shut(
            plain in prop::collection::vec(any::<u8>(), 0..64),
            at in any::<prop::sample::Index>(),
            flip in 1u8..,
        ) {
            let key = SealingKey::generate();
            let sealed = key.seal(&plain, b"subject");
            prop_assert_eq!(key.open(&sealed, b"subject").unwrap(), plain);
            let mut changed = sealed.clone();
            changed[at.index(sealed.len())] ^= flip;
            prop_assert!(key.open(&changed, b"subject").is_err());
            prop_assert!(key.open(&sealed[..at.index(sealed.len())], b"subject").is_err());
        }
    }
}
