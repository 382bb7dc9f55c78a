use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;

use super::{Refused, folded};

/// The longest address, in characters.
pub(crate) const CHARACTERS_MAX: usize = 255;

/// The longest part before the `@`, in bytes (RFC 5321).
const LOCAL_BYTES_MAX: usize = 64;

/// The longest label of a domain, in bytes (RFC 1035).
const LABEL_BYTES_MAX: usize = 63;

/// What may stand in the part before the `@` besides letters and digits.
const LOCAL_SIGNS: &str = "!#$%&'*+-/=?^_`{|}~.";

/// An e-mail address: trimmed, in normal form C, its domain in lower case.
///
/// Personal data: `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Email(String);

impl Email {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What two spellings of one mailbox have in common; unique among living users.
    pub(crate) fn key(&self) -> String {
        folded(&self.0)
    }
}

impl FromStr for Email {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        let text: String = text.trim().nfc().collect();
        if text.chars().count() > CHARACTERS_MAX {
            return Err(Refused("must have at most 255 characters"));
        }
        let (local, domain) = text
            .rsplit_once('@')
            .filter(|(local, domain)| is_local(local) && is_domain(domain))
            .ok_or(Refused("must be an e-mail address"))?;
        Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(***)")
    }
}

/// Unquoted: no spaces, no `@`, no dot at an end or beside another one.
fn is_local(local: &str) -> bool {
    let known = |c: char| c.is_alphanumeric() || LOCAL_SIGNS.contains(c);
    (1..=LOCAL_BYTES_MAX).contains(&local.len())
        && local.split('.').all(|part| !part.is_empty())
        && local.chars().all(known)
}

/// Host names in ASCII; an international domain stands in its `xn--` form, which has one spelling.
fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> Email {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_trimmed_and_its_domain_folded() {
        assert_eq!(email("  Ada.L@EXAMPLE.com ").as_str(), "Ada.L@example.com");
        assert_eq!(email("e\u{301}@x").as_str(), "é@x");
        assert_eq!(email("admin@localhost").as_str(), "admin@localhost");
    }

    #[test]
    fn spellings_of_one_mailbox_share_a_key() {
        let key = email("ada@example.com").key();
        for twin in ["ADA@example.com", "ada@EXAMPLE.COM", "ａda@example.com"] {
            assert_eq!(email(twin).key(), key, "{twin}");
            assert_eq!(folded(&format!(" {twin} ")), key, "{twin}");
        }
        assert_ne!(email("ada+1@example.com").key(), key);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}com", "abcdefgh.".repeat(30));
        for text in [
            "",
            "ada",
            "@x",
            "ada@",
            "a b@x",
            "a@b@x",
            ".a@x",
            "a.@x",
            "a..b@x",
            "a@-x",
            "a@x-",
            "a@x..y",
            "a@.x",
            "a@x.",
            "a@ex ample",
            "a@bücher.example",
            "a\u{0}@x",
            "\"a b\"@x",
            &long,
            &longer,
        ] {
            assert!(text.parse::<Email>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_address_does_not_print_itself() {
        assert!(!format!("{:?}", email("ada@example.com")).contains("ada"));
    }
}
