use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::{Metadata, Position};

/// All stream ids are derived below this namespace; changing it would orphan every stream.
const STREAM_NAMESPACE: Uuid = Uuid::from_u128(0x7d0c_3a52_9b1e_4f6a_8c55_27e4_f1a0_6b3d);

/// Which stream: a category and an id within it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamId {
    category: String,
    id: String,
}

impl StreamId {
    /// The stream of `id` in `category`.
    pub fn new(category: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            category: category.into(),
            id: id.into(),
        }
    }

    /// The kind of stream.
    #[must_use]
    pub fn category(&self) -> &str {
        &self.category
    }

    /// The aggregate's id, as text.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The 128-bit key it is stored under: a hash of category and id.
    #[must_use]
    pub fn key(&self) -> Uuid {
        let name = format!("{}\u{0}{}", self.category, self.id);
        stanchion_runtime::id::derived(&STREAM_NAMESPACE, name.as_bytes())
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.category, self.id)
    }
}

/// A place in a stream: 0, 1, 2 … without a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub i64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event that is not in the log yet.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Its identity: appending the same id again is success, not a second event.
    pub id: Uuid,
    /// Its type: the serde tag, such as `order_placed`.
    pub kind: String,
    /// Its content; an object, or null for an event without content.
    pub data: Value,
}

impl NewEvent {
    /// Takes an event enum tagged `type` and `content = "data"` apart, with a new id.
    ///
    /// # Errors
    /// The enum does not serialise, or is tagged in another way.
    pub fn of<E: Serialize>(event: &E) -> Result<Self, UnknownEvent> {
        let value = serde_json::to_value(event).map_err(|error| UnknownEvent(error.to_string()))?;
        let Value::Object(mut fields) = value else {
            return Err(untagged());
        };
        let Some(Value::String(kind)) = fields.remove("type") else {
            return Err(untagged());
        };
        Ok(Self {
            id: stanchion_runtime::id::new_v7(),
            kind,
            data: fields.remove("data").unwrap_or(Value::Null),
        })
    }
}

/// An event as the log keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its place in the whole log.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub version: Version,
    /// Its identity.
    pub id: Uuid,
    /// Its type.
    pub kind: String,
    /// Its content.
    pub data: Value,
    /// Who and what caused it.
    pub metadata: Metadata,
    /// When it was recorded.
    pub at: Timestamp,
}

impl Recorded {
    /// The event as the enum `E`.
    ///
    /// # Errors
    /// The type is not one of `E`'s, or the content does not fit.
    pub fn decode<E: DeserializeOwned>(&self) -> Result<E, UnknownEvent> {
        let mut fields = serde_json::Map::with_capacity(2);
        fields.insert("type".into(), Value::String(self.kind.clone()));
        if !self.data.is_null() {
            fields.insert("data".into(), self.data.clone());
        }
        E::deserialize(Value::Object(fields)).map_err(|error| {
            UnknownEvent(format!(
                "{} at {} version {}: {error}",
                self.kind, self.stream, self.version
            ))
        })
    }
}

/// A recorded event together with its decoded form.
#[derive(Clone, Debug)]
pub struct Decoded<E> {
    /// As the log keeps it.
    pub recorded: Recorded,
    /// As the domain knows it.
    pub event: E,
}

/// An event that this code does not know; nothing is skipped in silence.
#[derive(Debug, Clone, thiserror::Error)]
#[error("unknown event: {0}")]
pub struct UnknownEvent(pub String);

/// Which entries of a log a reader wants; empty means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only streams of these categories.
    pub categories: Vec<String>,
}

impl Filter {
    /// Every entry.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Entries of one category.
    pub fn category(name: impl Into<String>) -> Self {
        Self {
            categories: vec![name.into()],
        }
    }

    /// Whether an entry of `category` passes.
    #[must_use]
    pub fn takes(&self, category: &str) -> bool {
        self.categories.is_empty() || self.categories.iter().any(|wanted| wanted == category)
    }
}

fn untagged() -> UnknownEvent {
    UnknownEvent(
        "an event enum needs #[serde(tag = \"type\", content = \"data\", rename_all = \"snake_case\")]"
            .into(),
    )
}
