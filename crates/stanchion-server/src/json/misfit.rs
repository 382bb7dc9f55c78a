use std::fmt::{self, Display};

use serde::de::{Error, Expected, Unexpected};

/// What does not fit, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Such as `items[0].sku`; empty for the whole value.
    pub(crate) path: String,
    pub(crate) kind: MisfitKind,
    placed: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MisfitKind {
    /// The path names a field that is not known.
    Unknown,
    /// The path names a field that is not there.
    Missing,
    /// The value is of the wrong type or out of its range.
    Wrong(String),
}

impl Misfit {
    pub(super) fn new(kind: MisfitKind) -> Self {
        Self {
            path: String::new(),
            kind,
            placed: false,
        }
    }

    pub(super) fn at(mut self, path: &str) -> Self {
        if !self.placed {
            self.path = if self.path.is_empty() {
                path.to_owned()
            } else {
                join(path, &self.path)
            };
            self.placed = true;
        }
        self
    }
}

impl Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            MisfitKind::Unknown => f.write_str("is not known"),
            MisfitKind::Missing => f.write_str("is required"),
            MisfitKind::Wrong(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Misfit {}

impl Error for Misfit {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(MisfitKind::Wrong(message.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(MisfitKind::Wrong(format!(
            "must be {}",
            plain(&expected.to_string())
        )))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let reason = match unexpected {
            Unexpected::Signed(_) | Unexpected::Unsigned(_) | Unexpected::Float(_) => {
                "is out of range".to_owned()
            }
            _ => format!("must be {}", plain(&expected.to_string())),
        };
        Self::new(MisfitKind::Wrong(reason))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::new(MisfitKind::Wrong(format!(
            "must be {}",
            plain(&expected.to_string())
        )))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(MisfitKind::Wrong(format!(
            "must be one of {}",
            expected.join(", ")
        )))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self {
            path: field.to_owned(),
            ..Self::new(MisfitKind::Unknown)
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            path: field.to_owned(),
            ..Self::new(MisfitKind::Missing)
        }
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self::custom("is given twice")
    }
}

/// Serde names Rust types; a client knows JSON's.
fn plain(expected: &str) -> &str {
    match expected {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128"
        | "usize" => "an integer",
        "f32" | "f64" => "a number",
        "unit" => "null",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("enum ") || other.starts_with("variant ") => {
            "one of the known names"
        }
        other if other.starts_with("tuple ") => "an array",
        other => other,
    }
}

/// The path of a field below a path.
pub(super) fn join(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}
