//! What was released stays readable: golden files as they were, schemas that old readers and writers fit.

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::{CRATES, git};
use crate::workspace;

/// Compares with what that tag has; says what was compared.
pub(super) fn with(tag: &str, wrong: &mut Vec<String>) -> Result<String> {
    let mut looked_at = 0;
    for part in CRATES {
        for kind in ["golden", "schema"] {
            let folder = format!("{part}/{kind}/");
            let listed = git(&["ls-tree", "-r", "--name-only", tag, &folder]);
            for path in listed.unwrap_or_default().lines() {
                looked_at += 1;
                compare(tag, path, kind == "golden", wrong)?;
            }
        }
    }
    Ok(format!("{looked_at} as of {tag}"))
}

fn compare(tag: &str, path: &str, golden: bool, wrong: &mut Vec<String>) -> Result<()> {
    let released = git(&["show", &format!("{tag}:{path}")]).context("git show")?;
    let Ok(now) = std::fs::read_to_string(workspace::root().join(path)) else {
        wrong.push(format!("{path} was released with {tag} and is gone"));
        return Ok(());
    };
    let (released, now) = (
        serde_json::from_str(&released)?,
        serde_json::from_str(&now)?,
    );
    if golden {
        if stored(&released) != stored(&now) {
            wrong.push(format!(
                "{path} was released with {tag}: what lies in logs and brokers looks like that"
            ));
        }
    } else {
        faults(path, &released, &now, wrong);
    }
    Ok(())
}

/// A golden file without what is made of it today, which may change.
fn stored(golden: &Value) -> Value {
    let mut stored = golden.clone();
    if let Some(fields) = stored.as_object_mut() {
        fields.remove("reads_as");
    }
    stored
}

/// What readers or writers of the released schema would stumble over.
fn faults(at: &str, released: &Value, now: &Value, wrong: &mut Vec<String>) {
    if released["type"] != now["type"] || released["const"] != now["const"] {
        wrong.push(format!("{at} is of another type than it was released with"));
        return;
    }
    // More words may be read before anybody writes them; what was released may have been written.
    let words = |of: &Value| of["enum"].as_array().cloned();
    if let Some(now) = words(now) {
        match words(released) {
            None => wrong.push(format!("{at} takes certain words only now")),
            Some(released) => {
                for word in released.iter().filter(|word| !now.contains(word)) {
                    wrong.push(format!("{at} does not take {word} any more"));
                }
            }
        }
    }
    if released["items"].is_object() {
        faults(&format!("{at}[]"), &released["items"], &now["items"], wrong);
    }
    let none = Map::new();
    let there = now["properties"].as_object().unwrap_or(&none);
    for (name, was) in released["properties"].as_object().unwrap_or(&none) {
        match there.get(name) {
            Some(is) => faults(&format!("{at}.{name}"), was, is, wrong),
            None => wrong.push(format!("{at} has lost {name}: old readers want it")),
        }
    }
    let required = |of: &Value| of["required"].as_array().cloned().unwrap_or_default();
    let before = required(released);
    for name in required(now).iter().filter(|name| !before.contains(name)) {
        let name = name.as_str().unwrap_or_default();
        wrong.push(format!("{at} wants {name} now: old ones lack it"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(released: &Value, now: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        faults("c", released, now, &mut wrong);
        wrong
    }

    fn with(properties: Value, required: Value) -> Value {
        json!({"type": "object", "properties": properties, "required": required})
    }

    #[test]
    fn a_version_may_get_an_optional_field_and_nothing_else() {
        let text = json!({"type": "string"});
        let released = with(json!({"a": text}), json!(["a"]));
        let optional = with(json!({"a": text, "b": text}), json!(["a"]));
        assert_eq!(found(&released, &optional), [""; 0]);
        let wanted = with(json!({"a": text, "b": text}), json!(["a", "b"]));
        let wants = ["c wants b now: old ones lack it"];
        assert_eq!(found(&released, &wanted), wants);
        let lost = with(json!({}), json!([]));
        let without = ["c has lost a: old readers want it"];
        assert_eq!(found(&released, &lost), without);
        let other = with(json!({"a": {"type": "integer"}}), json!(["a"]));
        assert_eq!(found(&released, &other).len(), 1);
    }

    #[test]
    fn a_word_that_was_released_is_taken_for_ever() {
        let of = |words: Value| {
            with(
                json!({"a": {"type": "string", "enum": words}}),
                json!(["a"]),
            )
        };
        let released = of(json!(["x", "y"]));
        assert_eq!(found(&released, &of(json!(["x", "y", "z"]))), [""; 0]);
        let lost = ["c.a does not take \"y\" any more"];
        assert_eq!(found(&released, &of(json!(["x"]))), lost);
        let any = with(json!({"a": {"type": "string"}}), json!(["a"]));
        assert_eq!(found(&any, &released), ["c.a takes certain words only now"]);
        assert_eq!(found(&released, &any), [""; 0]);
    }

    #[test]
    fn what_is_below_is_compared_as_well() {
        let list = |of: Value| with(json!({"a": {"type": "array", "items": of}}), json!(["a"]));
        let released = list(with(json!({"b": {"const": "x"}}), json!([])));
        assert_eq!(found(&released, &released), [""; 0]);
        let now = list(with(json!({"b": {"const": "y"}}), json!(["b"])));
        assert_eq!(found(&released, &now).len(), 2);
    }

    #[test]
    fn only_what_is_made_of_a_golden_file_today_may_change() {
        let released = json!({"type": "placed", "data": {"cents": 5}});
        let now =
            json!({"type": "placed", "data": {"cents": 5}, "reads_as": {"type": "placed.v2"}});
        assert_eq!(stored(&released), stored(&now));
    }
}
