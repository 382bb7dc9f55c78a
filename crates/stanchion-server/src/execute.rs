//! What the log and its repositories say, as problems.

use stanchion_eventsourcing::{ExecuteError, LogError};

use crate::{Problem, codes};

impl<R: std::error::Error + Into<Problem>> From<ExecuteError<R>> for Problem {
    fn from(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Refused(refusal) => refusal.into(),
            ExecuteError::VersionMismatch { actual } => {
                let problem = Self::precondition_failed();
                match actual {
                    Some(version) => problem.with("version", version.0),
                    None => problem,
                }
            }
            // Somebody else took the claim over: what became of it is told to a repeat.
            ExecuteError::AlreadyHandled { .. } | ExecuteError::ClaimLost => {
                codes::REQUEST_IN_PROGRESS.problem()
            }
            ExecuteError::Overloaded => codes::OVERLOADED.problem(),
            ExecuteError::Unavailable(reason) => Self::unavailable(reason),
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
