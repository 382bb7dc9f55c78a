use std::fmt;
use std::process::{ExitCode, Termination};
use std::time::Duration;

use super::StartError;

/// How a service ended. Returned from `main`, it is the exit code: 0 clean, 1 otherwise, 2 for bad usage.
#[derive(Debug)]
#[must_use = "return it from main: it is the exit code"]
pub enum Stopped {
    /// Everything that was begun was finished.
    Clean,
    /// The stop's deadlines came first: what was still at work was cut off.
    Cut {
        /// Requests that the drain did not see the end of.
        requests: Vec<Stuck>,
        /// Workers that did not stop in time and were aborted, as `module/worker`.
        workers: Vec<String>,
    },
    /// It could not start, or a worker of it failed.
    Failed(String),
    /// Bad usage or configuration.
    Usage(String),
}

/// A request that a stop cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Its method.
    pub method: String,
    /// Its route's template, or `unmatched`.
    pub endpoint: String,
    /// Its id, as in the log.
    pub request_id: String,
    /// How long it had been served.
    pub age: Duration,
}

impl Stopped {
    /// A failure with this reason.
    #[must_use = "return it from main: it is the exit code"]
    pub fn failed(reason: impl fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }

    /// 0, 1 or 2.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Cut { .. } | Self::Failed(_) => 1,
            Self::Usage(_) => 2,
        }
    }
}

impl From<stanchion_config::Problems> for Stopped {
    fn from(problems: stanchion_config::Problems) -> Self {
        Self::Usage(problems.to_string())
    }
}

impl From<StartError> for Stopped {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Listen { .. } => Self::Failed(error.to_string()),
            StartError::Settings(_) => Self::Usage(error.to_string()),
        }
    }
}

impl Termination for Stopped {
    fn report(self) -> ExitCode {
        match &self {
            // For whoever has no log: the last word is on the terminal as well.
            Self::Failed(reason) | Self::Usage(reason) if !reason.is_empty() => {
                eprintln!("{reason}")
            }
            Self::Cut { requests, workers } => {
                for request in requests {
                    eprintln!("cut off by the stop: {request}");
                }
                for worker in workers {
                    eprintln!("cut off by the stop: worker {worker}");
                }
            }
            Self::Failed(_) | Self::Usage(_) | Self::Clean => {}
        }
        ExitCode::from(self.code())
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            method,
            endpoint,
            request_id,
            age,
        } = self;
        write!(
            f,
            "{method} {endpoint} ({request_id}, for {:.1} s)",
            age.as_secs_f64()
        )
    }
}
