//! Snapshots: the last state of a stream, kept beside it as a short cut.

mod keeper;

use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

pub(crate) use self::keeper::Keeper;
use crate::{Aggregate, LogError, StreamId, Version};

/// An aggregate whose state may be kept, so that a long stream need not be read from its start.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use stanchion_eventsourcing::{Aggregate, Snapshot};
/// # #[derive(Debug, thiserror::Error)] #[error("never")] struct Never;
/// # #[derive(Serialize, Deserialize, Clone)]
/// # #[serde(tag = "type", content = "data", rename_all = "snake_case")] enum Counted { Up }
/// #[derive(Default, Clone, Serialize, Deserialize)]
/// struct Counter { count: u64 }
/// # impl Aggregate for Counter {
/// #     const CATEGORY: &'static str = "counter";
/// #     type Command = (); type Event = Counted; type Refusal = Never;
/// #     fn decide(&self, _: &()) -> Result<Vec<Counted>, Never> { Ok(vec![Counted::Up]) }
/// #     fn evolve(&mut self, _: &Counted) { self.count += 1; }
/// # }
///
/// impl Snapshot for Counter {
///     const SCHEMA: i64 = 1;
/// }
/// ```
pub trait Snapshot: Aggregate + Serialize + DeserializeOwned {
    /// Raised whenever the state or what `evolve` makes of an event changes its meaning; snapshots of
    /// another number are discarded.
    const SCHEMA: i64;
}

/// A state as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptState {
    /// The version of the last event in it.
    pub version: Version,
    /// That event's id: a log that went back has another one there.
    pub event: Uuid,
    /// The [`Snapshot::SCHEMA`] it was written with.
    pub schema: i64,
    /// The state.
    pub state: Value,
}

/// Where states are kept, one a stream.
///
/// Only a short cut: everything in it may be lost or deleted at any time. A state that is kept is
/// replaced by a newer one only, or by one of another schema; a repeat changes nothing.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// The state kept for a stream.
    ///
    /// # Errors
    /// The store cannot be read; the repository then reads the stream from its start.
    async fn load(&self, stream: &StreamId) -> Result<Option<KeptState>, LogError>;

    /// Keeps a state, unless a newer one of the same schema is there.
    ///
    /// # Errors
    /// The store cannot be written; nothing else depends on it.
    async fn keep(&self, stream: &StreamId, kept: &KeptState) -> Result<(), LogError>;

    /// Deletes the state kept for a stream if it is (still) that of `version`.
    ///
    /// # Errors
    /// The store cannot be written; nothing else depends on it.
    async fn discard(&self, stream: &StreamId, version: Version) -> Result<(), LogError>;
}

impl KeptState {
    /// Whether it takes the place of `there`: newest wins, and another schema always does.
    #[must_use]
    pub fn replaces(&self, there: &Self) -> bool {
        self.schema != there.schema || self.version > there.version
    }
}

/// Snapshots in memory, for tests.
#[derive(Default)]
pub struct MemorySnapshots {
    kept: Mutex<HashMap<StreamId, KeptState>>,
}

#[async_trait]
impl Snapshots for MemorySnapshots {
    async fn load(&self, stream: &StreamId) -> Result<Option<KeptState>, LogError> {
        Ok(self.kept.lock().get(stream).cloned())
    }

    async fn keep(&self, stream: &StreamId, kept: &KeptState) -> Result<(), LogError> {
        let mut all = self.kept.lock();
        if all.get(stream).is_none_or(|there| kept.replaces(there)) {
            all.insert(stream.clone(), kept.clone());
        }
        Ok(())
    }

    async fn discard(&self, stream: &StreamId, version: Version) -> Result<(), LogError> {
        let mut all = self.kept.lock();
        if all
            .get(stream)
            .is_some_and(|there| there.version == version)
        {
            all.remove(stream);
        }
        Ok(())
    }
}
