use std::fmt;
use std::sync::Arc;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer, MapAccess, Visitor,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, forward_to_deserialize_any};
use serde_json::Value;
use serde_json::value::RawValue;

/// An event's content: JSON as it is stored, parsed when somebody looks into it, and straight into what they want.
///
/// Clones share the text. Two are equal if their texts are, or the values that those stand for.
#[derive(Clone)]
pub struct Content(Arc<str>);

impl Content {
    /// Of an event without content.
    #[must_use]
    pub fn null() -> Self {
        Self::from_stored("null")
    }

    /// A text that a store has kept. That it is JSON is not looked at here: who decodes it finds out.
    pub fn from_stored(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_null(&self) -> bool {
        &*self.0 == "null"
    }

    /// All of it, for readers that know no type.
    ///
    /// # Errors
    /// It is no JSON: somebody else wrote it into the store.
    pub fn value(&self) -> Result<Value, serde_json::Error> {
        self.decode()
    }

    /// As a `T`.
    ///
    /// # Errors
    /// It does not fit.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

impl From<Value> for Content {
    fn from(value: Value) -> Self {
        Self::from_stored(value.to_string())
    }
}

impl From<Box<RawValue>> for Content {
    fn from(json: Box<RawValue>) -> Self {
        Self::from_stored(Box::<str>::from(json))
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        let values = || self.value().ok().zip(other.value().ok());
        self.0 == other.0 || values().is_some_and(|(one, two)| one == two)
    }
}

impl PartialEq<Value> for Content {
    fn eq(&self, other: &Value) -> bool {
        self.value().is_ok_and(|value| value == *other)
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Content {
    /// As the JSON that it is, for serialisers of JSON.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::from)
    }
}

/// An event as serde knows it, `{"type": …, "data": …}`, without putting it together first.
pub(crate) struct Tagged<'e> {
    kind: &'e str,
    data: Option<&'e str>,
    field: Field,
}

enum Field {
    Kind,
    Data,
    End,
}

impl<'e> Tagged<'e> {
    pub(crate) fn new(kind: &'e str, content: &'e Content) -> Self {
        Self {
            kind,
            data: (!content.is_null()).then(|| content.as_str()),
            field: Field::Kind,
        }
    }
}

impl<'de> Deserializer<'de> for Tagged<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Tagged<'de> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        let name = match self.field {
            Field::Kind => "type",
            Field::Data if self.data.is_some() => "data",
            Field::Data | Field::End => return Ok(None),
        };
        let name: StrDeserializer<'_, Self::Error> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Self::Error> {
        match self.field {
            Field::Kind => {
                self.field = Field::Data;
                let kind: StrDeserializer<'_, Self::Error> = self.kind.into_deserializer();
                seed.deserialize(kind)
            }
            Field::Data => {
                self.field = Field::End;
                let mut json = serde_json::Deserializer::from_str(self.data.unwrap_or("null"));
                let value = seed.deserialize(&mut json)?;
                json.end()?;
                Ok(value)
            }
            Field::End => Err(Self::Error::custom("an event has no third field")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "type", content = "data", rename_all = "snake_case")]
    enum Event {
        Placed { cents: i64 },
        Shipped,
    }

    fn decoded(kind: &str, content: &Content) -> Result<Event, String> {
        Event::deserialize(Tagged::new(kind, content)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_content_is_the_same_however_it_is_written() {
        let written = Content::from_stored(r#"{ "b": [1, 2], "a": null }"#);
        assert_eq!(written, Content::from(json!({"a": null, "b": [1, 2]})));
        assert_ne!(written, Content::from(json!({"a": null, "b": [2, 1]})));
        assert_ne!(Content::from_stored("{"), Content::from_stored("["));
    }

    #[test]
    fn an_event_is_decoded_from_its_parts() {
        let placed = Content::from(json!({"cents": 5}));
        assert_eq!(decoded("placed", &placed), Ok(Event::Placed { cents: 5 }));
        assert_eq!(decoded("shipped", &Content::null()), Ok(Event::Shipped));
        assert!(decoded("placed", &Content::null()).is_err());
        assert!(decoded("lost", &placed).unwrap_err().contains("lost"));
    }

    #[test]
    fn what_is_no_json_is_an_error_for_who_looks() {
        for text in ["", "{\"cents\": 5", "{\"cents\": 5} 6", "nul"] {
            let content = Content::from_stored(text);
            assert!(content.value().is_err(), "{text}");
            assert!(decoded("placed", &content).is_err(), "{text}");
            assert!(serde_json::to_string(&content).is_err(), "{text}");
        }
    }

    #[test]
    fn it_stands_in_other_json_as_itself() {
        let content = Content::from_stored(r#"{"b":1,"a":2}"#);
        let text = serde_json::to_string(&json!({"whole": 1.0})).unwrap();
        assert_eq!(
            serde_json::to_string(&[&content]).unwrap(),
            r#"[{"b":1,"a":2}]"#
        );
        let back: Content = serde_json::from_str(&text).unwrap();
        assert_eq!(back.as_str(), text);
    }
}
