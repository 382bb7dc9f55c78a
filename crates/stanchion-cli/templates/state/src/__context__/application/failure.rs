use stanchion::eventsourcing::{AppendError, UnknownEvent};
use stanchion::sql::{SqlError, WorkError};

use crate::__context__::domain::__thing__::__Thing__Refusal;

/// Why a use case did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The rules forbid it.
    #[error(transparent)]
    Refused(#[from] __Thing__Refusal),
    /// It has another version by now.
    #[error("it has another version by now")]
    Stale,
    /// The store is out, or the outcome of a write is unknown.
    #[error(transparent)]
    Store(#[from] SqlError),
    /// The log refused: an idempotency key that is known, or a claim that was lost.
    #[error(transparent)]
    Log(AppendError),
    /// An event that cannot be written.
    #[error("an event cannot be written: {0}")]
    Event(#[from] UnknownEvent),
}

impl From<WorkError> for Failure {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Store(error) => Self::Store(error),
            WorkError::Log(error) => Self::Log(error),
        }
    }
}
