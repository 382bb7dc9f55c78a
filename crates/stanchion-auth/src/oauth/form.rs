use std::fmt::{self, Write};

/// The most parameters of one request.
pub const PARAMETERS_MAX: usize = 32;

/// A form's or a query's parameters (`application/x-www-form-urlencoded`), each at most once.
///
/// OAuth forbids repeated parameters (RFC 6749, 3.1 and 3.2): two readers could pick different ones. `Debug` shows names
/// alone, because values are secrets.
///
/// ```
/// use stanchion_auth::oauth::Parameters;
///
/// let form = Parameters::parse(b"grant_type=client_credentials&scope=order%3Aread").unwrap();
/// assert_eq!(form.get("scope"), Some("order:read"));
/// assert!(Parameters::parse(b"scope=a&scope=b").is_err());
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(String, String)>);

/// Bytes that are no such form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAForm {
    /// Percent signs without two digits, or bytes that are no UTF-8.
    #[error("the parameters are not form-urlencoded UTF-8")]
    Malformed,
    /// A parameter stands twice.
    #[error("a parameter is repeated")]
    Repeated,
    /// More than [`PARAMETERS_MAX`].
    #[error("more than 32 parameters")]
    TooMany,
}

impl Parameters {
    /// The parameters in these bytes.
    ///
    /// # Errors
    /// [`NotAForm`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAForm> {
        let mut read: Vec<(String, String)> = Vec::new();
        for pair in bytes.split(|byte| *byte == b'&') {
            if pair.is_empty() {
                continue;
            }
            let split = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = match split {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            let name = decoded(name)?;
            if read.iter().any(|(known, _)| *known == name) {
                return Err(NotAForm::Repeated);
            }
            if read.len() == PARAMETERS_MAX {
                return Err(NotAForm::TooMany);
            }
            read.push((name, decoded(value)?));
        }
        Ok(Self(read))
    }

    /// The value of that name; an empty one counts as left out (RFC 6749, 3.1).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        let value = found.map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// The text as it stands in a form or a query.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// What form-urlencoded bytes spell.
pub(super) fn decoded(bytes: &[u8]) -> Result<String, NotAForm> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = rest.next().and_then(|digit| digit_of(*digit));
                let low = rest.next().and_then(|digit| digit_of(*digit));
                high.zip(low)
                    .map(|(high, low)| high << 4 | low)
                    .ok_or(NotAForm::Malformed)?
            }
            other => *other,
        });
    }
    String::from_utf8(plain).map_err(|_| NotAForm::Malformed)
}

fn digit_of(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parameter_that_is_repeated_or_malformed_makes_no_form() {
        for (bytes, why) in [
            (&b"a=1&b=2&a=1"[..], NotAForm::Repeated),
            (b"a=1&%61=2", NotAForm::Repeated),
            (b"a=%", NotAForm::Malformed),
            (b"a=%4", NotAForm::Malformed),
            (b"a=%zz", NotAForm::Malformed),
            (b"a=%+1", NotAForm::Malformed),
            (b"a=%ff", NotAForm::Malformed),
            (b"a=\xff", NotAForm::Malformed),
        ] {
            assert_eq!(Parameters::parse(bytes), Err(why), "{bytes:?}");
        }
        let many: Vec<_> = (0..33).map(|number| format!("p{number}=1")).collect();
        let (most, more) = (many[..32].join("&"), many.join("&"));
        assert!(Parameters::parse(most.as_bytes()).is_ok());
        let refused = Parameters::parse(more.as_bytes());
        assert_eq!(refused, Err(NotAForm::TooMany));
    }

    #[test]
    fn what_is_empty_was_left_out() {
        let form = Parameters::parse(b"&a=&b&c=d+e&").unwrap();
        assert_eq!((form.get("a"), form.get("b")), (None, None));
        assert_eq!(form.get("c"), Some("d e"));
    }

    #[test]
    fn values_do_not_print_themselves() {
        let form = Parameters::parse(b"client_secret=hunter2").unwrap();
        assert_eq!(format!("{form:?}"), "[\"client_secret\"]");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(name in "[a-z]{1,8}", value in "\\PC{1,40}") {
            let text = format!("{name}={}", encode(&value));
            let form = Parameters::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(form.get(&name), Some(value.as_str()));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Parameters::parse(&bytes);
        }
    }
}
