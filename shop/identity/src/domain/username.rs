use std::fmt;
use std::str::FromStr;

use super::Refused;

const CHARACTERS: std::ops::RangeInclusive<usize> = 3..=30;

/// A username: 3 to 30 letters and digits of ASCII, kept in lower case.
///
/// Personal data: `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Username(String);

impl Username {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Username {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        let text = text.trim();
        if CHARACTERS.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(Refused("must have 3 to 30 characters of A-Z, a-z and 0-9"))
        }
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Username(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_is_kept_folded() {
        let kept = " AdaLovelace1 ".parse::<Username>().unwrap();
        assert_eq!(kept.as_str(), "adalovelace1");
    }

    #[test]
    fn what_is_no_username_is_refused() {
        let long = "a".repeat(31);
        for text in ["", "ab", "a b", "a-b", "a_b", "ädä", "ada@x", "аda", &long] {
            assert!(text.parse::<Username>().is_err(), "{text:?}");
        }
    }
}
