//! Optional values and lists.

use super::{Setting, Value};
use crate::given::list_in;

/// Unset by default; an empty text counts as unset.
impl<T: Setting> Setting for Option<T> {
    const SECRET: bool = T::SECRET;

    fn expected() -> String {
        T::expected()
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Ok(None)
        } else {
            T::parse(text).map(Some)
        }
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Text(text) if text.is_empty() => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }

    fn show(&self) -> Option<String> {
        self.as_ref().and_then(T::show)
    }
}

/// A TOML array; as text, either that or values separated by commas.
impl<T: Setting> Setting for Vec<T> {
    const SECRET: bool = T::SECRET;

    fn expected() -> String {
        format!("a list, each item {}", T::expected())
    }

    fn parse(text: &str) -> Result<Self, String> {
        if let Some(list) = list_in(text) {
            return Self::from_value(&list);
        }
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        items.map(T::parse).collect()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::List(items) => items.iter().map(T::from_value).collect(),
            other => Err(other.is_not(&Self::expected())),
        }
    }

    fn show(&self) -> Option<String> {
        if T::SECRET {
            return Some("\"***\"".into());
        }
        let items: Vec<_> = self.iter().filter_map(T::show).collect();
        Some(format!("[{}]", items.join(", ")))
    }
}
