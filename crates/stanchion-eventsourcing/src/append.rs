use crate::{Metadata, NewEvent, Position, StreamId, TimerChange, Version};
use stanchion_messaging::InboxEntry;

/// What a stream must look like for an append to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// The stream has no events.
    NoStream,
    /// The stream's last event has this version.
    Exact(Version),
    /// Whatever it looks like.
    Any,
}

/// Events for one stream, with what commits beside them.
#[derive(Clone, Debug)]
pub struct Append {
    /// The stream.
    pub stream: StreamId,
    /// What it must look like.
    pub expected: Expected,
    /// The events, at most 1,000; none is allowed when there is an inbox entry to record.
    pub events: Vec<NewEvent>,
    /// What this deals with; known already, it drops the append and answers with the first outcome.
    pub inbox: Option<InboxEntry>,
    /// Timers to set or clear; none without an event.
    pub timers: Vec<TimerChange>,
    /// Who and what caused the events.
    pub metadata: Metadata,
}

impl Append {
    /// The most events in one append.
    pub const EVENTS_MAX: usize = 1_000;
}

/// Where an append's events are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The last event's place in the log; the head at that time when there were no events.
    pub position: Position,
    /// The last event's version; `None` when the stream is (still) empty.
    pub version: Option<Version>,
}

/// Why an append did not happen, or is not known to have happened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The stream does not look as expected.
    #[error("the stream is at {}, not as expected", display(.actual))]
    Conflict {
        /// The stream's last version.
        actual: Option<Version>,
    },
    /// The inbox knew the key: the effect is there already.
    #[error("already dealt with")]
    AlreadyHandled {
        /// The answer given then.
        answer: Option<Vec<u8>>,
        /// Where its effect is.
        position: Option<Position>,
    },
    /// The claim named by the inbox entry's owner expired or was taken over; nothing was written.
    #[error("the claim on this request was lost")]
    ClaimLost,
    /// The log's queue is full or the wait was too long; nothing was written.
    #[error("the event log is overloaded")]
    Overloaded,
    /// The connection broke while committing: append the same event ids again to learn the outcome.
    #[error("the outcome of the commit is unknown")]
    Unknown,
    /// The log cannot be reached; nothing was written.
    #[error("the event log is unavailable: {0}")]
    Unavailable(String),
    /// The append itself is wrong (too many events, a bad name); trying again cannot help.
    #[error("an invalid append: {0}")]
    Invalid(String),
}

fn display(version: &Option<Version>) -> String {
    match version {
        Some(version) => format!("version {version}"),
        None => "no event".into(),
    }
}

impl Append {
    /// Checks what every log checks before it looks at the stream.
    ///
    /// # Errors
    /// [`AppendError::Invalid`], saying what is wrong.
    pub fn validate(&self) -> Result<(), AppendError> {
        let wrong = |reason: &str| Err(AppendError::Invalid(reason.to_owned()));
        if self.events.is_empty() && self.inbox.is_none() {
            return wrong("no events and no inbox entry: there is nothing to append");
        }
        if self.events.is_empty() && !self.timers.is_empty() {
            // A stream that has no event has no name by which its timers could be found.
            return wrong("timers without an event: what sets a timer is an event");
        }
        if self.events.len() > Self::EVENTS_MAX {
            return wrong("more than 1,000 events: split the append");
        }
        if self
            .events
            .iter()
            .any(|event| event.kind.is_empty() || event.kind.len() > 128)
        {
            return wrong("an event type must have 1 to 128 bytes");
        }
        let (category, id) = (self.stream.category(), self.stream.id());
        if category.is_empty() || category.len() > 64 || id.is_empty() || id.len() > 255 {
            return wrong("a stream needs a category of 1 to 64 bytes and an id of 1 to 255");
        }
        Ok(())
    }
}
