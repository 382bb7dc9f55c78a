//! What of an append can be done before anybody looks at the log, in its caller's task.

use stanchion_eventsourcing::{Append, AppendError, NewEvent};
use uuid::Uuid;

use super::rows;

/// A valid append with its metadata as text and all of its checksums but the version.
pub(crate) struct Ready {
    pub(crate) append: Append,
    /// The stream's key.
    pub(crate) key: Uuid,
    pub(crate) meta: String,
    /// For each event in its order: see [`rows::sum`].
    pub(crate) sums: Vec<i64>,
    /// About what the append weighs in a packet.
    pub(crate) bytes: usize,
}

impl Ready {
    /// Checks and serialises it.
    pub(crate) fn of(append: Append) -> Result<Self, AppendError> {
        append.validate()?;
        let key = append.stream.key();
        let meta = serde_json::to_string(&append.metadata)
            .map_err(|error| AppendError::Invalid(error.to_string()))?;
        let events = append.events.iter();
        let sums: Vec<i64> = events
            .clone()
            .map(|event| rows::sum(key, event.id, &event.kind, event.data.as_str(), &meta))
            .collect();
        let data: usize = events.map(|event| event.data.as_str().len()).sum();
        let answer = append
            .inbox
            .as_ref()
            .map_or(0, |entry| entry.answer.as_ref().map_or(0, Vec::len));
        Ok(Self {
            bytes: data + answer + sums.len() * (meta.len() + 128),
            key,
            meta,
            sums,
            append,
        })
    }

    /// Its inbox key.
    pub(crate) fn inbox_key(&self) -> Option<&str> {
        self.append.inbox.as_ref().map(|entry| entry.key.as_str())
    }

    /// Its first event and its last one: where both are in the log, all of it is.
    pub(crate) fn outermost(&self) -> impl Iterator<Item = &NewEvent> {
        let events = &self.append.events;
        let further = events.last().filter(|_| events.len() > 1);
        events.first().into_iter().chain(further)
    }

    pub(crate) fn len(&self) -> usize {
        self.sums.len()
    }
}
