//! Reading a message's JSON: as deep as one may be that a log has announced, and no deeper.

use serde::de::{DeserializeOwned, Error as _};

/// What logs hold is read 127 deep. Around a payload come its message, its envelope and a bundle, which a reader of 127 would
/// refuse for ever; a reader without a bound would run out of stack at what somebody else has sent.
const DEPTH_MAX: usize = 160;

/// A `T` of that JSON.
///
/// # Errors
/// It is no JSON, not that of a `T`, or nested too deeply.
pub fn json<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    if depth(text) > DEPTH_MAX {
        return Err(serde_json::Error::custom("nested too deeply"));
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    reader.disable_recursion_limit();
    let read = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(read)
}

/// How many arrays and objects stand within each other at most.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_stands_in_a_string_is_not_nested() {
        for (text, expected) in [
            ("1", 0),
            ("[]", 1),
            (r#"{"a": [1, {"b": 2}], "c": [[]]}"#, 3),
            (r#"["[[[[", "{\"[[[[", "\\", [1]]"#, 2),
            ("]]][", 1),
        ] {
            assert_eq!(depth(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn it_is_read_as_deep_as_the_bound_and_no_deeper() {
        let nested = |deep| format!("{}1{}", "[".repeat(deep), "]".repeat(deep));
        assert!(json::<Value>(nested(DEPTH_MAX).as_bytes()).is_ok());
        for deep in [DEPTH_MAX + 1, 1_000_000] {
            assert!(json::<Value>(nested(deep).as_bytes()).is_err());
        }
        assert!(json::<Value>(b"[1] 2").is_err() && json::<Value>(b"").is_err());
    }
}
