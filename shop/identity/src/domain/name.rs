use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;

use super::Refused;

/// The longest name, in characters.
const CHARACTERS_MAX: usize = 100;

/// A first or last name, as its bearer writes it: trimmed and in normal form C.
///
/// Personal data: `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        let text: String = text.trim().nfc().collect();
        if text.is_empty() {
            return Err(Refused("must not be empty; leave it out or give null"));
        }
        if text.chars().count() > CHARACTERS_MAX {
            return Err(Refused("must have at most 100 characters"));
        }
        if text.chars().any(char::is_control) {
            return Err(Refused("must not contain control characters"));
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_its_bearer_writes() {
        for name in ["Ada", "O'Neill-Å", "李", "Núñez de la Peña"] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn an_empty_long_or_controlling_name_is_refused() {
        for name in ["", "  ", "a\nb", "\u{1b}[31m", &"a".repeat(101)] {
            assert!(name.parse::<Name>().is_err(), "{name:?}");
        }
    }
}
