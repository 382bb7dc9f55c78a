//! Types a single value can have.

mod byte_size;
mod duration;
mod many;
mod plain;

pub use byte_size::ByteSize;

use std::fmt;

use crate::text::repeated;

/// A type that one configured value can have.
///
/// Most are here already; a small `enum` gets its own through [`choice!`](crate::choice).
pub trait Setting: Clone + Sized {
    /// Whether values must never be shown.
    const SECRET: bool = false;

    /// What a value looks like, after "is not": "a duration such as `30s`".
    fn expected() -> String;

    /// The value written as `text`, as a variable or a secret file has it.
    ///
    /// # Errors
    /// A sentence that says what is wrong; it may repeat `text`.
    fn parse(text: &str) -> Result<Self, String>;

    /// The value as a TOML file has it; by default text is parsed and all else refused.
    ///
    /// # Errors
    /// A sentence that says what is wrong; it may repeat the value.
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Text(text) => Self::parse(text),
            other => Err(other.is_not(&Self::expected())),
        }
    }

    /// The value as TOML, `None` when it is unset, `"***"` when it is secret.
    fn show(&self) -> Option<String>;
}

/// A value as a TOML file has it. Its `Debug` tells the kind only: it may be a secret.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// A string.
    Text(String),
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i128),
    /// A number with a fraction.
    Float(f64),
    /// An array.
    List(Vec<Value>),
    /// Anything else, named: "a table", "a date".
    Other(&'static str),
}

impl Value {
    /// "`abc` is not a whole number": the sentence for a value of the wrong type.
    #[must_use]
    pub fn is_not(&self, expected: &str) -> String {
        match self {
            Value::Text(text) => is_not(text, expected),
            Value::Integer(number) => format!("{number} is not {expected}"),
            Value::Float(number) => format!("{number} is not {expected}"),
            other => format!("{} is not {expected}", other.kind()),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a text",
            Value::Boolean(true) => "true",
            Value::Boolean(false) => "false",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number with a fraction",
            Value::List(_) => "a list",
            Value::Other(kind) => kind,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({})", self.kind())
    }
}

/// "`abc` is not a whole number".
pub(crate) fn is_not(text: &str, expected: &str) -> String {
    format!("{} is not {expected}", repeated(text))
}
