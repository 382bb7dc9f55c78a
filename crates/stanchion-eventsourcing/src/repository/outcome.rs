use stanchion_messaging::Position;
use uuid::Uuid;

use crate::{Aggregate, Version};

/// An aggregate as its stream says it is.
#[derive(Clone, Debug)]
pub struct Loaded<A> {
    /// Its state.
    pub state: A,
    /// Its last event's version; `None` when nothing ever happened to it.
    pub version: Option<Version>,
    /// Its last event's id: a log that went back has another event there.
    pub(crate) last: Option<Uuid>,
}

/// What an execution did.
#[derive(Clone, Debug)]
pub struct Executed<A: Aggregate> {
    /// The state after it.
    pub state: A,
    /// The version after it.
    pub version: Option<Version>,
    /// What happened; empty when the decision was to do nothing.
    pub events: Vec<A::Event>,
    /// Where in the log it is; the head when nothing happened.
    pub position: Position,
}

/// Why an execution did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<R: std::error::Error> {
    /// The aggregate refused.
    #[error(transparent)]
    Refused(R),
    /// The stream is not at the version the caller expected (a stale `If-Match`).
    #[error("the version is not the expected one")]
    VersionMismatch {
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
    /// The claim on the request was lost; nothing was written.
    #[error("the claim on this request was lost")]
    ClaimLost,
    /// Too many executions wait for this id, or the log is overloaded; nothing was written.
    #[error("overloaded")]
    Overloaded,
    /// The log takes no such append: too many events, or a projection in its transaction refuses them. Nothing was
    /// written, and trying again cannot help.
    #[error("the log does not take it: {0}")]
    Invalid(String),
    /// The log cannot be reached or read, or other processes were always quicker.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl<A: Aggregate> Loaded<A> {
    pub(crate) fn nothing() -> Self {
        Self {
            state: A::default(),
            version: None,
            last: None,
        }
    }

    /// Takes in the event that stands at `version`.
    pub(crate) fn take(&mut self, event: &A::Event, version: Version, id: Uuid) {
        self.state.evolve(event);
        self.version = Some(version);
        self.last = Some(id);
    }

    /// Where the next event will stand.
    pub(crate) fn next(&self) -> Version {
        self.version
            .map_or(Version(0), |version| Version(version.0 + 1))
    }

    pub(super) fn unchanged(self, position: Position) -> Executed<A> {
        Executed {
            state: self.state,
            version: self.version,
            events: Vec::new(),
            position,
        }
    }
}
