//! What the log and its repositories say, as problems.

use stanchion_eventsourcing::{AppendError, ExecuteError, LogError};

use crate::{Problem, codes};

/// What keeps an execution from happening, as a client sees it; a refusal in its own words.
impl<R: std::error::Error + Into<Problem>> From<ExecuteError<R>> for Problem {
    fn from(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Refused(refusal) => refusal.into(),
            ExecuteError::VersionMismatch { actual } => {
                Self::precondition_failed().with("version", actual.map(|version| version.0))
            }
            ExecuteError::AlreadyHandled { answer, position } => Self::replay(answer, position),
            ExecuteError::ClaimLost => Self::of(codes::REQUEST_IN_PROGRESS),
            ExecuteError::Overloaded => Self::of(codes::OVERLOADED),
            ExecuteError::Invalid(reason) => Self::internal(reason),
            ExecuteError::Unavailable(reason) => Self::unavailable(reason),
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict { .. } => Self::of(codes::VERSION_CONFLICT),
            AppendError::AlreadyHandled { answer, position } => Self::replay(answer, position),
            AppendError::ClaimLost => Self::of(codes::REQUEST_IN_PROGRESS),
            AppendError::Overloaded => Self::of(codes::OVERLOADED),
            AppendError::Unknown | AppendError::Unavailable(_) => Self::unavailable(error),
            AppendError::Invalid(_) => Self::internal(error),
        }
    }
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Unavailable(_) => Self::unavailable(error),
            LogError::Damaged { .. } => Self::internal(error),
        }
    }
}
