use serde_json::Value;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::Violations;

/// Why a text is refused.
const CONTROL: &str = "must not contain control characters";

/// Trimmed, in normal form C, without control characters.
pub(crate) fn clean(text: String) -> Result<String, &'static str> {
    let trimmed = text.trim();
    if trimmed.len() == text.len() {
        composed(text)
    } else {
        composed(trimmed.to_owned())
    }
}

/// In normal form C, without control characters; blanks stay where they are.
fn composed(text: String) -> Result<String, &'static str> {
    if text.chars().any(char::is_control) {
        return Err(CONTROL);
    }
    if is_nfc(&text) {
        return Ok(text);
    }
    Ok(text.nfc().collect())
}

/// Cleans every text of a body in place, naming the path of each that is refused; the fields
/// `untrimmed` keep their blanks.
pub(crate) fn clean_body(body: &mut Value, untrimmed: &[&str], violations: &mut Violations) {
    let Value::Object(fields) = body else {
        return clean_tree(body, "", violations);
    };
    for (name, field) in fields.iter_mut() {
        match field {
            Value::String(text) if untrimmed.contains(&name.as_str()) => {
                put(text, composed, name, violations);
            }
            field => clean_tree(field, name, violations),
        }
    }
}

fn put(
    text: &mut String,
    cleaned: fn(String) -> Result<String, &'static str>,
    path: &str,
    violations: &mut Violations,
) {
    match cleaned(std::mem::take(text)) {
        Ok(cleaned) => *text = cleaned,
        Err(reason) => violations.add(path, reason),
    }
}

fn clean_tree(value: &mut Value, path: &str, violations: &mut Violations) {
    match value {
        Value::String(text) => put(text, clean, path, violations),
        Value::Array(items) => {
            for (nth, item) in items.iter_mut().enumerate() {
                clean_tree(item, &format!("{path}[{nth}]"), violations);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                clean_tree(field, &format!("{path}.{name}"), violations);
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
    fn an_untrimmed_field_keeps_its_blanks_and_nothing_else() {
        let mut value = serde_json::json!({
            "password": "  e\u{301} ", "note": " x ", "inner": {"password": " y "}, "other": ["\u{0}"],
        });
        let mut violations = Violations::default();
        clean_body(&mut value, &["password"], &mut violations);
        assert_eq!(value["password"], "  \u{e9} ");
        assert_eq!(
            (&value["note"], &value["inner"]["password"]),
            (&"x".into(), &"y".into())
        );
        let fields = violations.into_fields();
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["other[0]"]);
    }

    #[test]
    fn an_untrimmed_field_has_no_control_characters_either() {
        let mut value = serde_json::json!({"password": "long enough\n"});
        let mut violations = Violations::default();
        clean_body(&mut value, &["password"], &mut violations);
        assert!(violations.into_fields().contains_key("password"));
    }

    #[test]
    fn a_refused_text_is_named_by_its_path() {
        let mut value = serde_json::json!({"items": [{"sku": "a"}, {"sku": "\u{0}"}]});
        let mut violations = Violations::default();
        clean_body(&mut value, &[], &mut violations);
        let fields = violations.into_fields();
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["items[1].sku"]);
    }
}
