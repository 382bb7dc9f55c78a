//! Truth values, numbers, texts, addresses, paths, secrets.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use secrecy::SecretString;

use super::{Setting, Value, is_not};
use crate::text::{toml_string, without_password};

impl Setting for bool {
    fn expected() -> String {
        "`true` or `false`".into()
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.trim()
            .parse()
            .map_err(|_| is_not(text, &Self::expected()))
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Boolean(value) => Ok(*value),
            other => Err(other.is_not(&Self::expected())),
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

macro_rules! whole_numbers {
    ($($number:ty)*) => {$(
        impl Setting for $number {
            fn expected() -> String {
                format!("a whole number from {} to {}", <$number>::MIN, <$number>::MAX)
            }

            fn parse(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| is_not(text, &Self::expected()))
            }

            fn from_value(value: &Value) -> Result<Self, String> {
                match value {
                    Value::Integer(number) => <$number>::try_from(*number).ok(),
                    _ => None,
                }
                .ok_or_else(|| value.is_not(&Self::expected()))
            }

            fn show(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )*};
}

whole_numbers!(u8 u16 u32 u64 usize i8 i16 i32 i64);

impl Setting for f64 {
    fn expected() -> String {
        "a finite number".into()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let number = text
            .trim()
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| is_not(text, &Self::expected()))
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Float(number) if number.is_finite() => Ok(*number),
            Value::Integer(number) => Ok(*number as f64),
            other => Err(other.is_not(&Self::expected())),
        }
    }

    fn show(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}

impl Setting for String {
    fn expected() -> String {
        "a text".into()
    }

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> Option<String> {
        // A secret text is better a `SecretString`; but a URL with a password is easily written into a text.
        Some(toml_string(&without_password(self)))
    }
}

impl Setting for PathBuf {
    fn expected() -> String {
        "a path".into()
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Err(is_not(text, &Self::expected()))
        } else {
            Ok(text.into())
        }
    }

    fn show(&self) -> Option<String> {
        Some(toml_string(&self.to_string_lossy()))
    }
}

impl Setting for SecretString {
    const SECRET: bool = true;

    fn expected() -> String {
        "a secret text".into()
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Err("the text is empty".into())
        } else {
            Ok(text.into())
        }
    }

    fn show(&self) -> Option<String> {
        Some("\"***\"".into())
    }
}

macro_rules! addresses {
    ($($address:ty: $expected:literal)*) => {$(
        impl Setting for $address {
            fn expected() -> String {
                $expected.into()
            }

            fn parse(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| is_not(text, $expected))
            }

            fn show(&self) -> Option<String> {
                Some(toml_string(&self.to_string()))
            }
        }
    )*};
}

addresses! {
    SocketAddr: "an IP address and port such as `127.0.0.1:8080` or `[::1]:8080`"
    IpAddr: "an IP address such as `127.0.0.1` or `::1`"
}
