//! What came of a call: the answer, or which of three things went wrong.

use std::time::Duration;

/// Why a guarded call gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure<E> {
    /// A policy did not let the call out; the dependency has seen nothing of it.
    #[error("not sent: {0}")]
    Refused(Refusal),
    /// The call was sent and gave no answer in time; whether it took effect is unknown.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The dependency's own answer, or the transport's.
    #[error("{0}")]
    Remote(E),
}

/// Why a policy did not let a call out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The circuit breaker is open, or half-open with all its probes out.
    #[error("the circuit breaker is open")]
    BreakerOpen {
        /// When it may let the next call out.
        retry_after: Duration,
    },
    /// Every slot of the bulkhead is taken, and its queue is full or the wait in it too long.
    #[error("the bulkhead is full")]
    BulkheadFull,
    /// The adaptive limit or its queue sheds load of this priority.
    #[error("overloaded")]
    Overloaded,
    /// The rate limit of this key is used up.
    #[error("the rate limit is used up")]
    RateLimited {
        /// When the key has room for this call again.
        retry_after: Duration,
    },
    /// The dependency refuses so much that the client spares it the call.
    #[error("throttled by the client")]
    Throttled,
    /// The host is left out for having failed while others worked.
    #[error("the host is left out")]
    Ejected {
        /// When it is taken in again.
        retry_after: Duration,
    },
    /// What is left of the deadline is less than a call needs.
    #[error("the deadline leaves no time for it")]
    NoTimeLeft,
    /// What it would run on is shutting down.
    #[error("closed")]
    Closed,
}

impl Refusal {
    /// When it makes sense to ask again, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Refusal::BreakerOpen { retry_after }
            | Refusal::RateLimited { retry_after }
            | Refusal::Ejected { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    /// Its name as a metric's label.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Refusal::BreakerOpen { .. } => "breaker_open",
            Refusal::BulkheadFull => "bulkhead_full",
            Refusal::Overloaded => "overloaded",
            Refusal::RateLimited { .. } => "rate_limited",
            Refusal::Throttled => "throttled",
            Refusal::Ejected { .. } => "ejected",
            Refusal::NoTimeLeft => "no_time_left",
            Refusal::Closed => "closed",
        }
    }
}

impl<E> Failure<E> {
    /// The refusal, when the call was not sent.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Failure::Refused(refusal) => Some(*refusal),
            _ => None,
        }
    }

    /// What the dependency said, when it said something.
    #[must_use]
    pub fn into_remote(self) -> Option<E> {
        match self {
            Failure::Remote(error) => Some(error),
            _ => None,
        }
    }

    /// The same failure with the dependency's error mapped.
    pub fn map<F>(self, map: impl FnOnce(E) -> F) -> Failure<F> {
        match self {
            Failure::Refused(refusal) => Failure::Refused(refusal),
            Failure::TimedOut(after) => Failure::TimedOut(after),
            Failure::Remote(error) => Failure::Remote(map(error)),
        }
    }
}

impl<E> Failure<Failure<E>> {
    /// Two guards around one call give one failure.
    #[must_use]
    pub fn flatten(self) -> Failure<E> {
        match self {
            Failure::Refused(refusal) => Failure::Refused(refusal),
            Failure::TimedOut(after) => Failure::TimedOut(after),
            Failure::Remote(inner) => inner,
        }
    }
}

impl<E> From<Refusal> for Failure<E> {
    fn from(refusal: Refusal) -> Self {
        Failure::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_happened() {
        let refused: Failure<String> = Refusal::BulkheadFull.into();
        assert_eq!(refused.to_string(), "not sent: the bulkhead is full");
        let twice: Failure<Failure<&str>> =
            Failure::Remote(Failure::TimedOut(Duration::from_secs(1)));
        assert_eq!(twice.flatten().to_string(), "no answer within 1s");
        assert_eq!(
            Failure::Remote("refused by bank").map(str::len),
            Failure::Remote(15)
        );
    }
}
