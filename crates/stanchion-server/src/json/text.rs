use serde_json::Value;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::Violations;

/// Why a text is refused.
const CONTROL: &str = "must not contain control characters";

/// Trimmed, in normal form C, without control characters.
pub(crate) fn clean(text: String) -> Result<String, &'static str> {
    let trimmed = text.trim();
    if trimmed.chars().any(char::is_control) {
        return Err(CONTROL);
    }
    if is_nfc(trimmed) {
        return Ok(if trimmed.len() == text.len() {
            text
        } else {
            trimmed.to_owned()
        });
    }
    Ok(trimmed.nfc().collect())
}

/// Cleans every text of a tree in place, naming the path of each that is refused.
pub(crate) fn clean_tree(value: &mut Value, path: &str, violations: &mut Violations) {
    match value {
        Value::String(text) => match clean(std::mem::take(text)) {
            Ok(cleaned) => *text = cleaned,
            Err(reason) => violations.add(path, reason),
        },
        Value::Array(items) => {
            for (nth, item) in items.iter_mut().enumerate() {
                clean_tree(item, &format!("{path}[{nth}]"), violations);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let dot = if path.is_empty() { "" } else { "." };
                clean_tree(field, &format!("{path}{dot}{name}"), violations);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_trimmed_and_composed() {
        assert_eq!(clean("  e\u{301}te\u{301} \n".into()).unwrap(), "été");
        assert_eq!(clean("plain".into()).unwrap(), "plain");
    }

    #[test]
    fn control_characters_within_a_text_are_refused() {
        for text in ["a\0b", "a\nb", "a\u{1b}[31mb", "a\u{85}b", "a\u{7f}b"] {
            assert!(clean(text.into()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_refused_text_is_named_by_its_path() {
        let mut value = serde_json::json!({"items": [{"sku": "a"}, {"sku": "\u{0}"}]});
        let mut violations = Violations::default();
        clean_tree(&mut value, "", &mut violations);
        let fields = violations.into_fields();
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["items[1].sku"]);
    }
}
