use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The most scopes of one request or client.
pub const SCOPES_MAX: usize = 64;

/// The longest scope, in bytes.
const SCOPE_BYTES_MAX: usize = 64;

/// A set of scopes, written with one space between them (RFC 6749, 3.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<String>);

/// A text that is no list of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("scopes are at most 64 words of at most 64 characters with one space between them")]
pub struct BadScope;

impl Scopes {
    /// Whether that scope is there.
    #[must_use]
    pub fn has(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// Whether each of these is also one of `others`.
    #[must_use]
    pub fn are_within(&self, others: &Self) -> bool {
        self.0.is_subset(&others.0)
    }

    /// Those for which it holds.
    #[must_use]
    pub fn only(&self, holds: impl Fn(&str) -> bool) -> Self {
        let kept = self.0.iter().filter(|scope| holds(scope));
        Self(kept.cloned().collect())
    }

    /// Each, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Scopes {
    type Err = BadScope;

    fn from_str(text: &str) -> Result<Self, BadScope> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let scopes: BTreeSet<String> = text.split(' ').map(str::to_owned).collect();
        let fit = scopes.len() <= SCOPES_MAX && scopes.iter().all(|scope| is_scope(scope));
        if fit { Ok(Self(scopes)) } else { Err(BadScope) }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, scope) in self.iter().enumerate() {
            if nth > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

/// RFC 6749, 3.3: printable ASCII without spaces, quotes and backslashes.
fn is_scope(text: &str) -> bool {
    let printable = |byte: u8| (0x21..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\';
    (1..=SCOPE_BYTES_MAX).contains(&text.len()) && text.bytes().all(printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_survive_their_text() {
        let scopes: Scopes = "openid order:read openid".parse().unwrap();
        assert_eq!(scopes.to_string(), "openid order:read");
        assert_eq!(scopes.to_string().parse(), Ok(scopes));
        assert!("".parse::<Scopes>().unwrap().is_empty());
    }

    #[test]
    fn what_is_no_list_of_scopes_is_refused() {
        let (long, many) = ("a".repeat(65), (0..65).map(|n| format!("s{n}")));
        let many = many.collect::<Vec<_>>().join(" ");
        for odd in [
            " ", "a  b", " a", "a ", "a\"b", "a\\b", "ä", "a\nb", &long, &many,
        ] {
            assert_eq!(odd.parse::<Scopes>(), Err(BadScope), "{odd:?}");
        }
    }

    #[test]
    fn asking_for_less_is_asking_within() {
        let (less, more): (Scopes, Scopes) = ("a".parse().unwrap(), "a b".parse().unwrap());
        assert!(less.are_within(&more) && !more.are_within(&less));
        assert_eq!(more.only(|scope| scope == "a"), less);
    }
}
