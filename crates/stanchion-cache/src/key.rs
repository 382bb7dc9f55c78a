//! What entries are kept by.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::hash::Hash;

use sha2::{Digest, Sha256};

/// A longer key is known to the remote tier by its digest: what comes from outside must not decide how much memory it
/// takes. This process does not keep it, since it could not tell which one was changed.
pub(crate) const KEY_BYTES_MAX: usize = 256;

/// A key, and its text in the remote tier.
pub trait CacheKey: Hash + Eq + Clone + Send + Sync + 'static {
    /// Its text, another for each key.
    fn text(&self) -> Cow<'_, str>;

    /// The key of that text; `None` if it is none's.
    fn parse(text: &str) -> Option<Self>;
}

impl CacheKey for String {
    fn text(&self) -> Cow<'_, str> {
        self.as_str().into()
    }

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

macro_rules! by_display {
    ($($key:ty),+) => {$(
        impl CacheKey for $key {
            fn text(&self) -> Cow<'_, str> {
                self.to_string().into()
            }

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )+};
}
by_display!(u32, u64, i64, uuid::Uuid);

/// The key as the remote tier knows it, and whether this process keeps it too.
pub(crate) fn remote_text<K: CacheKey>(key: &K) -> (String, bool) {
    let text = key.text();
    if text.len() <= KEY_BYTES_MAX {
        return (text.into_owned(), true);
    }
    let mut digest = String::from("sha256:");
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a String does not fail.
        let _ = write!(digest, "{byte:02x}");
    }
    (digest, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_text() {
        let id = uuid::Uuid::from_u128(7);
        assert_eq!(uuid::Uuid::parse(&id.text()), Some(id));
        assert_eq!(u64::parse(&9_u64.text()), Some(9));
        assert_eq!(u64::parse("tea"), None);
    }

    #[test]
    fn a_long_key_is_a_digest_that_only_the_remote_tier_keeps() {
        let long = |end: &str| remote_text(&("x".repeat(300) + end));
        let (one, is_local) = long("a");
        assert_eq!((one.len(), is_local), (71, false));
        assert_ne!(one, long("b").0);
        assert_eq!(remote_text(&"tea".to_owned()), ("tea".to_owned(), true));
    }
}
