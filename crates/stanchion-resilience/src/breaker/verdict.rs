//! What an outcome says about the dependency.

/// What the outcome of a call says about the health of what was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Success,
    /// It does not.
    Failure,
    /// Nothing: the caller went away, or something in front of it refused the call.
    Ignored,
}

impl Verdict {
    /// Every error is a failure: what [`Breaker::call`](super::Breaker::call) takes.
    pub fn of<T, E>(result: &Result<T, E>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Failure,
        }
    }

    /// Refusals of an inner policy are ignored: overload that we shed ourselves is no failure of the dependency.
    pub fn of_guarded<T, E>(result: &Result<T, crate::Failure<E>>) -> Verdict {
        match result {
            Err(crate::Failure::Refused(_)) => Verdict::Ignored,
            other => Verdict::of(other),
        }
    }

    /// An HTTP answer: 5xx is a failure, except 501 and 505, which say what it cannot do; 429 is ignored; other 4xx
    /// are the caller's fault and prove that it works.
    #[must_use]
    pub fn of_http(status: u16) -> Verdict {
        match status {
            429 => Verdict::Ignored,
            501 | 505 => Verdict::Success,
            500.. => Verdict::Failure,
            _ => Verdict::Success,
        }
    }

    /// A gRPC code: UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE and DATA_LOSS are failures; CANCELLED and
    /// RESOURCE_EXHAUSTED are ignored.
    #[must_use]
    pub fn of_grpc(code: i32) -> Verdict {
        match code {
            2 | 4 | 13 | 14 | 15 => Verdict::Failure,
            1 | 8 => Verdict::Ignored,
            _ => Verdict::Success,
        }
    }
}
