//! Whether an error can pass.

use std::time::{Duration, SystemTime};

use super::{Effect, Stopped};

/// What an error says about sending the call again. `after` is the wait the server asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retryable {
    /// It would give the same: wrong input, not found, not allowed, or the server says not to.
    Never,
    /// It surely had no effect: the connection was refused, the server shed it before work.
    NotDone {
        /// The wait the server asks for.
        after: Option<Duration>,
    },
    /// It may have had its effect: timeout, reset, lost answer.
    Unknown {
        /// The wait the server asks for.
        after: Option<Duration>,
    },
    /// The server is overloaded or limits us, and did nothing.
    Throttled {
        /// The wait the server asks for.
        after: Option<Duration>,
    },
}

impl Retryable {
    /// An unknown outcome, the safe guess.
    #[must_use]
    pub fn unknown() -> Self {
        Retryable::Unknown { after: None }
    }

    /// An HTTP status: 408, 500, 502, 503 and 504 are unknown, 429 is throttled, all else never.
    ///
    /// A 503 is said by who sheds load unread, and by who does not know what became of the call.
    #[must_use]
    pub fn of_http(status: u16) -> Self {
        match status {
            408 | 500 | 502 | 503 | 504 => Retryable::unknown(),
            429 => Retryable::Throttled { after: None },
            _ => Retryable::Never,
        }
    }

    /// A gRPC code: UNAVAILABLE, DEADLINE_EXCEEDED and ABORTED are unknown, RESOURCE_EXHAUSTED throttled, all else never.
    #[must_use]
    pub fn of_grpc(code: i32) -> Self {
        match code {
            4 | 10 | 14 => Retryable::unknown(),
            8 => Retryable::Throttled { after: None },
            _ => Retryable::Never,
        }
    }

    /// With the seconds of a `Retry-After` header; for its date form see
    /// [`with_retry_after_at`](Self::with_retry_after_at).
    #[must_use]
    pub fn with_retry_after(self, header: Option<&str>) -> Self {
        match header.and_then(|text| text.trim().parse().ok()) {
            Some(seconds) => self.with_after(Duration::from_secs(seconds)),
            None => self,
        }
    }

    /// With a `Retry-After` header in both its forms, seconds or a date, in an answer that was made at `now`.
    ///
    /// Take `now` from the answer's own `Date` header (by [`http_date`](super::http_date)) where it has one: then both
    /// dates are the server's, and its clock may be wrong. A date that has passed asks for no wait.
    #[must_use]
    pub fn with_retry_after_at(self, header: Option<&str>, now: SystemTime) -> Self {
        match header.and_then(super::http_date) {
            Some(date) => self.with_after(date.duration_since(now).unwrap_or_default()),
            None => self.with_retry_after(header),
        }
    }

    /// With the trailer `grpc-retry-pushback-ms` (gRFC A6): a negative or malformed one means never.
    #[must_use]
    pub fn with_pushback(self, trailer: Option<&str>) -> Self {
        match trailer.map(str::parse::<u32>) {
            None => self,
            Some(Ok(millis)) => self.with_after(Duration::from_millis(millis.into())),
            Some(Err(_)) => Retryable::Never,
        }
    }

    /// With the header [`x-should-retry`](super::HEADER): `false` means never, whatever the status is.
    #[must_use]
    pub fn with_should_retry(self, header: Option<&str>) -> Self {
        match header {
            Some("false") => Retryable::Never,
            _ => self,
        }
    }

    fn with_after(self, wait: Duration) -> Self {
        let after = Some(wait);
        match self {
            Retryable::Never => Retryable::Never,
            Retryable::NotDone { .. } => Retryable::NotDone { after },
            Retryable::Unknown { .. } => Retryable::Unknown { after },
            Retryable::Throttled { .. } => Retryable::Throttled { after },
        }
    }

    pub(super) fn asked(self) -> Option<Duration> {
        match self {
            Retryable::Never => None,
            Retryable::NotDone { after }
            | Retryable::Unknown { after }
            | Retryable::Throttled { after } => after,
        }
    }

    pub(super) fn allowed(self, effect: Effect) -> Result<(), Stopped> {
        match self {
            Retryable::Never => Err(Stopped::Final),
            Retryable::Unknown { .. } if effect == Effect::Once => Err(Stopped::NotRepeatable),
            _ => Ok(()),
        }
    }
}
