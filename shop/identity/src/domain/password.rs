use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;

use super::Refused;

/// The shortest and longest password, in characters as they are hashed: composed (NFC).
const CHARACTERS: std::ops::RangeInclusive<usize> = 8..=256;

/// The most bytes that are looked at; more are too long whatever they spell.
const BYTES_MAX: usize = 1024;

/// What the store keeps of a password; `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PasswordHash(String);

impl PasswordHash {
    pub(crate) fn new(phc: String) -> Self {
        Self(phc)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

/// Length is the only rule: rules about kinds of characters make passwords worse (NIST SP 800-63B).
pub(crate) fn check(password: &SecretString) -> Result<(), Refused> {
    let text = password.expose_secret();
    if text.len() <= BYTES_MAX && CHARACTERS.contains(&text.nfc().count()) {
        Ok(())
    } else {
        Err(Refused("must have 8 to 256 characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_accepted(text: String) -> bool {
        check(&SecretString::from(text)).is_ok()
    }

    #[test]
    fn a_password_has_8_to_256_characters() {
        assert!(is_accepted("a".repeat(8)) && is_accepted("ä".repeat(256)));
        for text in ["", "1234567", &"a".repeat(257), &"a".repeat(1 << 20)] {
            assert!(!is_accepted(text.to_owned()), "{} bytes", text.len());
        }
    }

    #[test]
    fn characters_are_counted_as_they_are_hashed() {
        assert!(!is_accepted("e\u{301}".repeat(4)), "4 composed ones");
        assert!(is_accepted("e\u{301}".repeat(8)));
        // One that composing takes apart (U+0958 is excluded from composition).
        assert!(!is_accepted("\u{958}".repeat(200)), "400 composed ones");
    }
}
