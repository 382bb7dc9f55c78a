use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use super::form::decoded;

/// The longest header value that is looked at, in bytes.
const HEADER_BYTES_MAX: usize = 1024;

/// A client's id and secret from `Authorization: Basic …` (RFC 6749, 2.3.1): both form-urlencoded, then joined.
pub struct Basic {
    /// Who it says it is.
    pub id: String,
    /// What is to prove it.
    pub secret: SecretString,
}

impl Basic {
    /// What the header's value holds; `None` for another scheme and for what is malformed.
    #[must_use]
    pub fn read(value: &str) -> Option<Self> {
        if value.len() > HEADER_BYTES_MAX {
            return None;
        }
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let joined = STANDARD.decode(encoded).ok()?;
        let at = joined.iter().position(|byte| *byte == b':')?;
        Some(Self {
            id: decoded(&joined[..at]).ok()?,
            secret: SecretString::from(decoded(&joined[at + 1..]).ok()?),
        })
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Basic({:?}, ***)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn header(joined: &str) -> String {
        format!("Basic {}", STANDARD.encode(joined))
    }

    #[test]
    fn id_and_secret_are_read_as_they_were_encoded() {
        let basic = Basic::read(&header("a%3Ab:c%3Ad:e")).unwrap();
        assert_eq!(basic.id, "a:b");
        assert_eq!(basic.secret.expose_secret(), "c:d:e");
        assert!(!format!("{basic:?}").contains("c:d"));
    }

    #[test]
    fn what_is_no_basic_header_is_none() {
        for other in [
            String::new(),
            "Basic".to_owned(),
            "Basic !".to_owned(),
            "Bearer YTpi".to_owned(),
            header("no colon"),
            header("%zz:x"),
            header(&format!("a:{}", "b".repeat(2000))),
        ] {
            assert!(Basic::read(&other).is_none(), "{other}");
        }
    }
}
