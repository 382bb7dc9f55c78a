//! Private keys encrypted at rest.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use stanchion_runtime::random;

use crate::encoding::{from_base64url, to_base64url, to_hex};

/// Bytes of a key-encryption key.
const KEY_BYTES: usize = 32;

/// First byte of what `seal` gives: AES-256-GCM with a random nonce.
const FORMAT: u8 = 1;

const ID_BYTES: usize = 8;
const HEADER_BYTES: usize = 1 + ID_BYTES + NONCE_LEN;

/// Which key-encryption key sealed something: a one-way fingerprint, safe to store and log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; ID_BYTES]);

/// Encrypts signing keys at rest: AES-256-GCM under 32 secret bytes, with a random nonce for each use.
///
/// A sealed value is `format (1) ‖ key id (8) ‖ nonce (12) ‖ ciphertext and tag`; all of it and the associated data
/// are authenticated. One key may seal 2^32 values.
///
/// # Another key
/// Keys are changed in three steps, none of which stops a replica: the new one beside the old
/// ([`also_opening`](Self::also_opening)) everywhere; the two the other way round; everything that is stored sealed anew
/// ([`reseal`](Self::reseal)), after which the old one can go.
pub struct KeyEncryptionKey {
    id: KeyId,
    key: LessSafeKey,
    /// What these sealed is opened, and nothing is sealed with them.
    others: Vec<KeyEncryptionKey>,
}

/// A sealed value that does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too short, or of a format we do not know.
    #[error("not a sealed value")]
    NotSealed,
    /// Sealed under another key-encryption key.
    #[error(
        "sealed under the key-encryption key {sealed_by}, but {have} is configured; configure that one"
    )]
    OtherKey {
        /// The key that sealed it.
        sealed_by: KeyId,
        /// The key that was asked to open it.
        have: KeyId,
    },
    /// Changed since, or sealed with other associated data.
    #[error("a sealed value was changed, or belongs to something else")]
    Tampered,
}

/// A key-encryption key that is not 32 bytes in base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a key-encryption key is {KEY_BYTES} random bytes in base64; make one with `openssl rand -base64 32`"
)]
pub struct NotAKey;

impl KeyEncryptionKey {
    /// The key in this text: 32 bytes in base64 or unpadded base64url, whitespace around it ignored.
    ///
    /// # Errors
    /// [`NotAKey`], which does not show the text.
    pub fn from_text(text: &SecretString) -> Result<Self, NotAKey> {
        let text = text.expose_secret().trim();
        let bytes = STANDARD.decode(text).ok().or_else(|| from_base64url(text));
        let bytes = SecretSlice::from(bytes.unwrap_or_default());
        Self::from_bytes(&bytes)
    }

    /// The key of these 32 bytes.
    ///
    /// # Errors
    /// [`NotAKey`] if there are more or fewer.
    pub fn from_bytes(bytes: &SecretSlice<u8>) -> Result<Self, NotAKey> {
        let bytes = bytes.expose_secret();
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| NotAKey)?;
        Ok(Self {
            id: KeyId::of(bytes),
            key: LessSafeKey::new(key),
            others: Vec::new(),
        })
    }

    /// A new key as text for [`from_text`](Self::from_text), to be stored by an embedded first start.
    #[must_use]
    pub fn generate_text() -> SecretString {
        SecretString::from(to_base64url(random::bytes::<KEY_BYTES>()))
    }

    /// The same, opening also what that other one sealed: the next key before a change, the former one after it.
    #[must_use]
    pub fn also_opening(mut self, other: Self) -> Self {
        if other.id != self.id {
            self.others.push(other);
        }
        self
    }

    /// A sealed value sealed anew with this key; `None` if it is that already. What is in it stays the same.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn reseal(
        &self,
        sealed: &[u8],
        associated_data: &[u8],
    ) -> Result<Option<Vec<u8>>, OpenError> {
        if KeyId::of_sealed(sealed) == Some(self.id) {
            return Ok(None);
        }
        let opened = self.open(sealed, associated_data)?;
        Ok(Some(self.seal(&opened, associated_data)))
    }

    /// Which key this is.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// `plaintext` encrypted; only the same `associated_data` (say, the `kid`) opens it again.
    #[must_use]
    pub fn seal(&self, plaintext: &SecretSlice<u8>, associated_data: &[u8]) -> Vec<u8> {
        let nonce = random::bytes::<NONCE_LEN>();
        let mut sealed = vec![FORMAT];
        sealed.extend_from_slice(&self.id.0);
        sealed.extend_from_slice(&nonce);
        let bound = bound(&sealed, associated_data);
        // Encrypted where it stands: no second copy of the plaintext is left behind.
        sealed.reserve_exact(plaintext.expose_secret().len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(plaintext.expose_secret());
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound),
                &mut sealed[HEADER_BYTES..],
            )
            .expect("a private key is far below the 64 GiB that GCM can encrypt");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// What [`seal`](Self::seal) encrypted, with this key or one that is [also opened](Self::also_opening).
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        &self,
        sealed: &[u8],
        associated_data: &[u8],
    ) -> Result<SecretSlice<u8>, OpenError> {
        let sealed_by = KeyId::of_sealed(sealed).ok_or(OpenError::NotSealed)?;
        if sealed_by != self.id {
            let other = self.others.iter().find(|other| other.id == sealed_by);
            let other = other.ok_or(OpenError::OtherKey {
                sealed_by,
                have: self.id,
            })?;
            return other.open(sealed, associated_data);
        }
        let (header, ciphertext) = sealed.split_at(HEADER_BYTES);
        let nonce = Nonce::try_assume_unique_for_key(&header[1 + ID_BYTES..])
            .map_err(|_| OpenError::NotSealed)?;
        let mut buffer = SecretSlice::from(ciphertext.to_vec());
        let bound = Aad::from(bound(header, associated_data));
        let opened = self
            .key
            .open_in_place(
                nonce,
                bound,
                secrecy::ExposeSecretMut::expose_secret_mut(&mut buffer),
            )
            .map_err(|_| OpenError::Tampered)?;
        Ok(SecretSlice::from(opened.to_vec()))
    }
}

impl KeyId {
    /// Which key sealed this; `None` if it is not a sealed value.
    #[must_use]
    pub fn of_sealed(sealed: &[u8]) -> Option<Self> {
        if sealed.len() < HEADER_BYTES + AES_256_GCM.tag_len() || sealed[0] != FORMAT {
            return None;
        }
        sealed[1..=ID_BYTES].try_into().ok().map(Self)
    }

    fn of(key: &[u8]) -> Self {
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, key),
            b"stanchion.kek-id.v1",
        );
        Self(
            tag.as_ref()[..ID_BYTES]
                .try_into()
                .expect("SHA-256 gives 32 bytes"),
        )
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyId({self})")
    }
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyEncryptionKey({}, ***)", self.id)
    }
}

/// Header and associated data, hashed apart so that no byte can move from one to the other.
fn bound(header: &[u8], associated_data: &[u8]) -> Vec<u8> {
    let mut bound = header.to_vec();
    bound.extend_from_slice(digest::digest(&digest::SHA256, associated_data).as_ref());
    bound
}

#[cfg(test)]
mod tests;
