use std::fmt;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::content::Tagged;
use crate::{Content, Metadata, Position};

/// All stream ids are derived below this namespace; changing it would orphan every stream.
const STREAM_NAMESPACE: [u8; 16] = 0x7d0c_3a52_9b1e_4f6a_8c55_27e4_f1a0_6b3d_u128.to_be_bytes();

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

    /// The 128-bit key it is stored under: a UUIDv8, the start of a SHA-256 of category and id, because
    /// PostgreSQL can compute that too (the function `stanchion_append`).
    #[must_use]
    pub fn key(&self) -> Uuid {
        let mut hash = Sha256::new();
        hash.update(STREAM_NAMESPACE);
        hash.update(&self.category);
        hash.update([0]);
        hash.update(&self.id);
        let hash = hash.finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&hash[..16]);
        key[6] = key[6] & 0x0f | 0x80;
        key[8] = key[8] & 0x3f | 0x80;
        Uuid::from_bytes(key)
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
    pub data: Content,
}

impl NewEvent {
    /// Takes an event enum tagged `type` and `content = "data"` apart, with a new id.
    ///
    /// # Errors
    /// The enum does not serialise, or is tagged in another way.
    pub fn of<E: Serialize>(event: &E) -> Result<Self, UnknownEvent> {
        let json = serde_json::to_string(event).map_err(|error| UnknownEvent(error.to_string()))?;
        let Ok(apart) = serde_json::from_str::<Apart>(&json) else {
            return Err(untagged());
        };
        Ok(Self {
            id: stanchion_runtime::id::new_v7(),
            kind: apart.kind,
            data: apart.data.map_or_else(Content::null, Content::from),
        })
    }
}

/// What serde makes of an event enum, its content as it stands.
#[derive(Deserialize)]
struct Apart {
    #[serde(rename = "type")]
    kind: String,
    data: Option<Box<RawValue>>,
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
    pub data: Content,
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
        // Straight from the text: events are read by the million.
        E::deserialize(Tagged::new(&self.kind, &self.data)).map_err(|error| {
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
    /// Only events of these types. There is no index for them: give the category as well where it is known.
    pub types: Vec<String>,
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
            ..Self::default()
        }
    }

    /// Only events of this type as well, or of another one named so before.
    #[must_use]
    pub fn event_type(mut self, name: impl Into<String>) -> Self {
        self.types.push(name.into());
        self
    }

    /// Whether entries of `category` can pass.
    #[must_use]
    pub fn takes(&self, category: &str) -> bool {
        holds(&self.categories, category)
    }

    /// Whether an event of type `kind` in a stream of `category` passes.
    #[must_use]
    pub fn wants(&self, category: &str, kind: &str) -> bool {
        self.takes(category) && holds(&self.types, kind)
    }

    /// Whether this entry passes.
    #[must_use]
    pub fn passes(&self, entry: &Recorded) -> bool {
        self.wants(entry.stream.category(), &entry.kind)
    }
}

fn holds(wanted: &[String], name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| wanted == name)
}

fn untagged() -> UnknownEvent {
    UnknownEvent(
        "an event enum needs #[serde(tag = \"type\", content = \"data\", rename_all = \"snake_case\")]"
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streams_key_never_changes() {
        // Golden: another value would orphan every stream that is stored.
        assert_eq!(
            StreamId::new("order", "1").key().to_string(),
            "a59d0833-670f-8478-b33a-3aeff3d9508e"
        );
        assert_ne!(
            StreamId::new("a", "bc").key(),
            StreamId::new("ab", "c").key()
        );
    }

    #[test]
    fn an_empty_part_of_a_filter_takes_all() {
        let filter = Filter::category("order")
            .event_type("placed")
            .event_type("paid");
        assert!(filter.takes("order") && !filter.takes("payment"));
        assert!(filter.wants("order", "paid") && !filter.wants("order", "sent"));
        assert!(Filter::all().takes("payment"));
    }
}
