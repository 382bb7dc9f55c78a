//! Peppers: secrets that are mixed into passwords and kept apart from their hashes.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use zeroize::Zeroizing;

use crate::encoding::{from_base64url, to_hex};

/// Bytes of a pepper.
const KEY_BYTES: usize = 32;

/// Bytes of its id in a hash; a PHC string has room for 8.
const ID_BYTES: usize = 6;

/// Separates the id from every other use of the same bytes.
const ID_CONTEXT: &[u8] = b"stanchion.pepper-id.v1";

/// A secret of 256 bits that every password is mixed with (HMAC-SHA256) before it is hashed.
///
/// Whoever steals the hashes alone, such as in a backup, cannot guess passwords without it. Each hash names its pepper
/// by an id, made of the pepper itself, in the PHC string's `keyid`: so a new one takes over login by login while the
/// former is still known. A pepper that is lost takes the passwords with it: their users need new ones.
#[derive(Clone)]
pub struct Pepper {
    id: [u8; ID_BYTES],
    key: hmac::Key,
}

/// A text that is no pepper; it is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a pepper is 32 random bytes in base64; make one with `openssl rand -base64 32`")]
pub struct NotAPepper;

/// The pepper of new hashes, and those of older ones.
#[derive(Clone, Default)]
pub(super) struct Peppers {
    current: Option<Pepper>,
    former: Vec<Pepper>,
}

impl Pepper {
    /// The pepper of this text: 32 bytes in base64 or base64url.
    ///
    /// # Errors
    /// [`NotAPepper`].
    pub fn from_text(text: &SecretString) -> Result<Self, NotAPepper> {
        let text = text.expose_secret().trim();
        let bytes = STANDARD.decode(text).ok().or_else(|| from_base64url(text));
        let bytes = SecretSlice::from(bytes.unwrap_or_default());
        let bytes = bytes.expose_secret();
        if bytes.len() != KEY_BYTES {
            return Err(NotAPepper);
        }
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(ID_CONTEXT);
        context.update(bytes);
        let digest = context.finish();
        let id = digest.as_ref()[..ID_BYTES].try_into();
        Ok(Self {
            id: id.expect("SHA-256 gives more than an id"),
            key: hmac::Key::new(hmac::HMAC_SHA256, bytes),
        })
    }

    pub(super) fn id(&self) -> &[u8] {
        &self.id
    }

    /// What is hashed in place of the password.
    fn mix(&self, password: &SecretString) -> Zeroizing<Vec<u8>> {
        let tag = hmac::sign(&self.key, password.expose_secret().as_bytes());
        Zeroizing::new(tag.as_ref().to_vec())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pepper({})", to_hex(&self.id))
    }
}

impl Peppers {
    pub(super) fn new(current: Option<Pepper>, former: Vec<Pepper>) -> Self {
        Self { current, former }
    }

    /// The id that new hashes name; empty for none.
    pub(super) fn current_id(&self) -> &[u8] {
        self.current.as_ref().map_or(&[], Pepper::id)
    }

    /// What is hashed in place of the password, by the pepper of that id; `None` if it is not known here.
    pub(super) fn mixed(&self, id: &[u8], password: &SecretString) -> Option<Zeroizing<Vec<u8>>> {
        if id.is_empty() {
            let plain = password.expose_secret().as_bytes().to_vec();
            return Some(Zeroizing::new(plain));
        }
        let mut known = self.current.iter().chain(&self.former);
        let pepper = known.find(|pepper| pepper.id() == id)?;
        Some(pepper.mix(password))
    }
}
