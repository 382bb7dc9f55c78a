//! What of an append can be done before anybody looks at the log, in its caller's task.

use stanchion_eventsourcing::{Append, AppendError};
use uuid::Uuid;

use super::rows;

/// A valid append with its texts and all of its checksums but the version.
pub(crate) struct Ready {
    pub(crate) append: Append,
    /// The stream's key.
    pub(crate) key: Uuid,
    pub(crate) meta: String,
    /// For each event in its order.
    pub(crate) texts: Vec<Text>,
    /// About what the append weighs in a packet.
    pub(crate) bytes: usize,
}

/// An event's content as it is stored.
pub(crate) struct Text {
    pub(crate) data: String,
    /// See [`rows::sum`].
    pub(crate) sum: i64,
}

impl Ready {
    /// Checks and serialises it.
    pub(crate) fn of(append: Append) -> Result<Self, AppendError> {
        append.validate()?;
        let key = append.stream.key();
        let meta = serde_json::to_string(&append.metadata)
            .map_err(|error| AppendError::Invalid(error.to_string()))?;
        let texts = append.events.iter().map(|event| {
            let data = event.data.to_string();
            let sum = rows::sum(key, event.id, &event.kind, &data, &meta);
            Text { data, sum }
        });
        let texts: Vec<Text> = texts.collect();
        let data: usize = texts.iter().map(|text| text.data.len()).sum();
        let answer = append
            .inbox
            .as_ref()
            .map_or(0, |entry| entry.answer.as_ref().map_or(0, Vec::len));
        Ok(Self {
            bytes: data + answer + texts.len() * (meta.len() + 128),
            key,
            meta,
            texts,
            append,
        })
    }

    /// Its inbox key.
    pub(crate) fn inbox_key(&self) -> Option<&str> {
        self.append.inbox.as_ref().map(|entry| entry.key.as_str())
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }
}
