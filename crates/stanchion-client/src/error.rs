//! What happened to a call that gave no answer.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use stanchion_resilience::policy::PolicyError;
use stanchion_resilience::retry::Stopped;
use stanchion_resilience::{Failure, Refusal};

use crate::Response;

/// Why a call gave no answer: what its last attempt came to, how many there were, and why there was no other.
///
/// ```
/// # use stanchion_client::{ClientError, Reason};
/// # use stanchion_resilience::retry::Stopped;
/// fn told(error: &ClientError) -> String {
///     match error.reason() {
///         Reason::Refused(refusal) => format!("{} is left alone: {refusal}", error.dependency()),
///         Reason::Status(answer) => format!("it said {}", answer.status()),
///         _ if error.stopped() == Stopped::Budget => "no retry is left to spend".into(),
///         _ if error.had_no_effect() => "it was not done".into(),
///         _ => "it may have been done".into(),
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct ClientError(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    dependency: String,
    host: Option<SocketAddr>,
    reason: Reason,
    attempts: u32,
    stopped: Stopped,
}

/// What the last attempt of a call came to.
#[derive(Debug, Clone)]
pub enum Reason {
    /// A policy did not let it out: breaker, bulkhead, rate, or no time left. The dependency saw nothing of it.
    Refused(Refusal),
    /// No answer came in this time; whether it took effect is unknown.
    TimedOut(Duration),
    /// No connection could be made, or the host refused the call unread. It had no effect.
    Connect(String),
    /// The connection broke after the call was sent; whether it took effect is unknown.
    Broken(String),
    /// The dependency answered with an error, whole and with its body.
    Status(Response),
    /// The answer is larger than is read, in bytes.
    TooLarge(usize),
    /// The call itself cannot be sent: a path or header that is none.
    Malformed(String),
}

/// Why there is no client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The URL is none that can be called.
    #[error("the URL is none to call: {0}")]
    Url(String),
    /// An address of `addresses` is none.
    #[error("`{0}` is no address; write 10.0.0.7:8443")]
    Address(String),
    /// A network that may be reached is none.
    #[error("`{0}` is no network; write 10.0.0.7 or 10.0.0.0/8")]
    Network(String),
    /// The certificates or keys cannot be used.
    #[error("{0}")]
    Tls(String),
    /// What describes a gRPC service cannot be read.
    #[error("the descriptors cannot be read: {0}")]
    Descriptors(String),
}

/// What an attempt came to, `R` being an error that the dependency answered.
#[derive(Debug)]
pub(crate) enum Fault<R> {
    Connect(String),
    /// All connections that we allow ourselves are in use: the host has nothing to do with it.
    Full,
    /// `unsent` says that it surely had no effect.
    Broken {
        why: String,
        unsent: bool,
    },
    Said(R),
    TooLarge(usize),
    /// The attempt cannot be made (again).
    Malformed(String),
}

impl ClientError {
    pub(crate) fn malformed(dependency: &str, why: String) -> Self {
        Self::new(dependency, None, Reason::Malformed(why), 1, Stopped::Final)
    }

    pub(crate) fn new(
        dependency: &str,
        host: Option<SocketAddr>,
        reason: Reason,
        attempts: u32,
        stopped: Stopped,
    ) -> Self {
        Self(Box::new(Inner {
            dependency: dependency.to_owned(),
            host,
            reason,
            attempts,
            stopped,
        }))
    }

    /// What the policy gave up with; `said` tells what an answered error is.
    pub(crate) fn of<R>(
        dependency: &str,
        host: Option<SocketAddr>,
        error: PolicyError<Fault<R>>,
        said: impl FnOnce(R) -> Reason,
    ) -> Self {
        let reason = match error.last {
            Failure::Refused(refusal) => Reason::Refused(refusal),
            Failure::TimedOut(after) => Reason::TimedOut(after),
            Failure::Remote(fault) => fault.reason(said),
        };
        let host = host.filter(|_| !matches!(reason, Reason::Refused(_)));
        Self::new(dependency, host, reason, error.attempts, error.stopped)
    }

    /// The dependency's name.
    #[must_use]
    pub fn dependency(&self) -> &str {
        &self.0.dependency
    }

    /// Which of its hosts was called last, if one was.
    #[must_use]
    pub fn host(&self) -> Option<SocketAddr> {
        self.0.host
    }

    /// What the last attempt came to.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.0.reason
    }

    /// The same, taken out.
    #[must_use]
    pub fn into_reason(self) -> Reason {
        self.0.reason
    }

    /// How many attempts were made.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Why there was no other: [`Stopped::Budget`] when there are more failures than retries to spend.
    #[must_use]
    pub fn stopped(&self) -> Stopped {
        self.0.stopped
    }

    /// The status that the dependency answered with, if it answered.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match &self.0.reason {
            Reason::Status(answer) => Some(answer.status()),
            _ => None,
        }
    }

    /// Whether no attempt can have had an effect. A status says so only to those who know the dependency, and an
    /// earlier attempt may have been lost: with more than one it is unknown.
    #[must_use]
    pub fn had_no_effect(&self) -> bool {
        let last = matches!(
            self.0.reason,
            Reason::Refused(_) | Reason::Connect(_) | Reason::Malformed(_)
        );
        last && self.0.attempts == 1
    }

    /// Whether the deadline was in the way: it passed, or left too little time.
    #[must_use]
    pub fn is_late(&self) -> bool {
        let late = matches!(
            self.0.reason,
            Reason::TimedOut(_) | Reason::Refused(Refusal::NoTimeLeft)
        );
        late || self.0.stopped == Stopped::Deadline
    }

    /// When it makes sense to ask again, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.0.reason {
            Reason::Refused(refusal) => refusal.retry_after(),
            Reason::Status(answer) => answer.retry_after(),
            _ => None,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            dependency,
            reason,
            attempts,
            stopped,
            ..
        } = &*self.0;
        write!(f, "{dependency}: {reason}")?;
        if *attempts > 1 || matches!(stopped, Stopped::Budget | Stopped::Deadline) {
            write!(f, " (attempt {attempts}; {stopped})")?;
        }
        Ok(())
    }
}

impl std::error::Error for ClientError {}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "not sent: {refusal}"),
            Self::TimedOut(after) => write!(f, "no answer within {after:?}"),
            Self::Connect(why) => write!(f, "no connection: {why}"),
            Self::Broken(why) => write!(f, "the answer was lost: {why}"),
            Self::Status(answer) => write!(f, "it answered {}", answer.status().as_u16()),
            Self::TooLarge(max) => write!(f, "it answered with more than {max} bytes"),
            Self::Malformed(why) => write!(f, "the call cannot be sent: {why}"),
        }
    }
}

impl<R> Fault<R> {
    fn reason(self, said: impl FnOnce(R) -> Reason) -> Reason {
        match self {
            Self::Connect(why) => Reason::Connect(why),
            Self::Full => Reason::Refused(Refusal::BulkheadFull),
            Self::Broken { why, unsent: true } => Reason::Connect(why),
            Self::Broken { why, .. } => Reason::Broken(why),
            Self::Said(answer) => said(answer),
            Self::TooLarge(max) => Reason::TooLarge(max),
            Self::Malformed(why) => Reason::Malformed(why),
        }
    }
}
