use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A body that is not one JSON value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) reason: String,
}

/// Reads one JSON value: no duplicate keys, no trailing bytes, at most 128 levels deep.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Malformed> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Tree.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        Self {
            line: error.line(),
            column: error.column(),
            reason: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
        }
    }
}

/// Builds a tree; unlike `Value` itself, it refuses an object that names a key twice.
struct Tree;

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Tree)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom("an object names a key twice"));
            }
            let value = fields.next_value_seed(Tree)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_single_json_value_is_refused_with_its_place() {
        let deep = "[".repeat(100_000);
        let cases: [&[u8]; 14] = [
            b"",
            b"{",
            b"{\"a\":1}}",
            b"{\"a\":1} x",
            b"{\"a\":1,\"a\":2}",
            b"\xff",
            b"\"\xff\"",
            b"\"\\ud800\"",
            b"\"\\udc00x\"",
            b"\xef\xbb\xbf{}",
            b"NaN",
            b"1e400",
            b"{'a':1}",
            deep.as_bytes(),
        ];
        for case in cases {
            let malformed = parse(case).unwrap_err();
            assert!(!malformed.reason.contains(" line "), "{malformed:?}");
        }
        assert_eq!(parse(b"{\n \"a\": }").unwrap_err().line, 2);
    }

    #[test]
    fn a_value_is_read_as_it_is() {
        let value = parse(b" {\"a\":[1,-2,0.5,true,null,\"\\u00e9\"]} ").unwrap();
        assert_eq!(
            value,
            serde_json::json!({"a": [1, -2, 0.5, true, null, "é"]})
        );
    }
}
