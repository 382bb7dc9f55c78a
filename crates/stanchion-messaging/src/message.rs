use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Contract, DecodeError};

/// The identity of one event log: random, made when the log is created, part of every checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(pub Uuid);

/// A place in a whole log, in commit order: 1, 2, 3 … without a hole.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub i64);

impl Position {
    /// Before the first entry.
    pub const START: Self = Self(0);

    /// The next place.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// How far somebody came in a log, and which event was there: a log that has gone back has another one, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The last entry dealt with; [`Position::START`] before the first.
    pub position: Position,
    /// The event at that position; `None` before the first, and where it was not remembered.
    pub event: Option<Uuid>,
}

impl Place {
    /// Before the first entry.
    pub const START: Self = Self {
        position: Position::START,
        event: None,
    };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a message comes from: an entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The log.
    pub log: LogId,
    /// The entry's place in it.
    pub position: Position,
}

/// Who and what caused an event or a message, and in which trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Shared by everything that one request set off.
    pub correlation_id: Uuid,
    /// The event or message that caused this one, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// Who asked: a subject, never a name or an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// The W3C trace context of the cause (`traceparent`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

impl Metadata {
    /// The start of a chain: a new correlation id in the current trace.
    #[must_use]
    pub fn new(principal: Option<String>) -> Self {
        Self {
            correlation_id: stanchion_runtime::id::new_v7(),
            causation_id: None,
            principal,
            trace: stanchion_telemetry::trace::current().map(|context| context.to_string()),
        }
    }

    /// What this caused: same chain, caused by `cause`, in the current trace if there is one.
    #[must_use]
    pub fn caused_by(&self, cause: Uuid) -> Self {
        let trace = stanchion_telemetry::trace::current().map(|context| context.to_string());
        Self {
            causation_id: Some(cause),
            trace: trace.or_else(|| self.trace.clone()),
            ..self.clone()
        }
    }
}

/// One contract on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Derived from the event's id and the contract: the same however often it is announced.
    pub id: Uuid,
    /// The contract's full name.
    pub contract: String,
    /// What order is kept by.
    pub key: String,
    /// The contract as JSON.
    pub payload: serde_json::Value,
    /// The log entry it was made of.
    pub origin: Origin,
    /// Who and what caused it.
    pub metadata: Metadata,
    /// When the entry was recorded.
    pub at: Timestamp,
}

impl Message {
    /// The payload as the contract `C`.
    ///
    /// # Errors
    /// The payload does not match `C`, or the message is of another contract.
    pub fn decode<C: Contract>(&self) -> Result<C, DecodeError> {
        let failed = |reason: String| DecodeError {
            id: self.id,
            contract: C::NAME,
            reason,
        };
        if self.contract != C::NAME {
            return Err(failed(format!("it is a {}", self.contract)));
        }
        C::deserialize(&self.payload).map_err(|error| failed(error.to_string()))
    }
}
