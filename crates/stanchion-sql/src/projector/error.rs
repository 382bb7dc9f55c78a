use stanchion_eventsourcing::{CheckpointError, LogError, Position, ProjectionError};

use crate::SqlError;

/// Why a projection did not move on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProjectorError {
    /// The log or the store is out; trying again may help.
    #[error("the projection's log or store is out: {0}")]
    Unavailable(String),
    /// An entry cannot be applied.
    #[error("halted at position {position}: {reason}")]
    Poison {
        /// Which entry.
        position: Position,
        /// What is wrong with it.
        reason: String,
    },
    /// The log is not the one the rows were made of, or it went back. Nothing is started over by itself: restore the
    /// log, or rebuild the projection.
    #[error("halted: {0}")]
    Checkpoint(CheckpointError),
    /// What was asked for cannot be done now.
    #[error("{0}")]
    Refused(String),
}

impl ProjectorError {
    /// Whether it stays like this until somebody acts.
    pub(super) fn halts(&self) -> bool {
        matches!(self, Self::Poison { .. } | Self::Checkpoint(_))
    }
}

/// The projection did not come so far in time, or will not come any further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Where it is.
    pub at: Position,
    /// Where it should be.
    pub wanted: Position,
    /// Why it halted: waiting longer would not have helped. `None` when the time was over.
    pub halted: Option<String>,
}

impl std::error::Error for Behind {}

impl std::fmt::Display for Behind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { at, wanted, halted } = self;
        write!(f, "the projection is at {at}, not yet at {wanted}")?;
        match halted {
            Some(reason) => write!(f, ", and does not move on: {reason}"),
            None => Ok(()),
        }
    }
}

impl From<SqlError> for ProjectorError {
    fn from(error: SqlError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<LogError> for ProjectorError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Damaged { position, reason } => Self::Poison { position, reason },
            LogError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<CheckpointError> for ProjectorError {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Log(error) => error.into(),
            other => Self::Checkpoint(other),
        }
    }
}

impl From<SqlError> for ProjectionError {
    /// What trying again may mend is the store's; a statement or a constraint that refuses the entry is poison:
    /// a constraint that fires is the alarm it was made for.
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Unavailable(_)
            | SqlError::InDoubt(_)
            | SqlError::Timeout(_)
            | SqlError::Serialization(_) => Self::Store(error.to_string()),
            _ => Self::Poison(error.to_string()),
        }
    }
}
