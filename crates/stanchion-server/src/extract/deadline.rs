use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use stanchion_resilience::Moment;
use tokio::time::Instant;

use crate::context::Context;
use crate::describe::Describe;
use crate::{Problem, codes};

/// The header by which a caller shortens its request's time.
pub(crate) const HEADER: &str = "x-request-timeout";
const NAME: HeaderName = HeaderName::from_static(HEADER);

/// What the header looks like.
pub(crate) const PATTERN: &str = "^[1-9][0-9]{0,7}(ms|s)$";

/// Digits of the longest time that is understood.
const DIGITS_MAX: usize = 8;

/// When the request must be answered: the route's deadline, or earlier if `X-Request-Timeout` says so.
///
/// The server answers 504 by itself when it passes; a handler needs this to hand the time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The time left, zero when it is over.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The deadline of the request that the current task serves.
    #[must_use]
    pub fn current() -> Option<Self> {
        Context::current()?.deadline().map(Self)
    }

    /// What `work` gives, unless the deadline comes first.
    ///
    /// # Errors
    /// 504 `DEADLINE_EXCEEDED`; the work is dropped then.
    pub async fn bound<T>(self, work: impl Future<Output = T>) -> Result<T, Problem> {
        let result = tokio::time::timeout_at(self.0, work).await;
        result.map_err(|_| codes::DEADLINE_EXCEEDED.problem())
    }
}

impl<S: Sync> FromRequestParts<S> for Deadline {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let deadline = Context::of(parts)?.deadline();
        deadline
            .map(Self)
            .ok_or_else(|| Problem::internal("this route has no deadline"))
    }
}

impl Describe for Deadline {}

/// The same end as policies take it: `Terms::read().until(deadline.into())`.
impl From<Deadline> for stanchion_resilience::deadline::Deadline {
    fn from(deadline: Deadline) -> Self {
        Self::at(Moment::from(deadline.0))
    }
}

/// The time a caller gives its request.
pub(crate) fn requested(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let Some(value) = headers.get(NAME) else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(parse);
    let problem = || Problem::invalid_parameter("X-Request-Timeout", "must look like 250ms or 2s");
    parsed.map(Some).ok_or_else(problem)
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at(text.find(|char: char| !char.is_ascii_digit())?);
    if digits.len() > DIGITS_MAX || digits.starts_with('0') {
        return None;
    }
    let number = digits.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_digits_and_a_unit() {
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse("2s"), Some(Duration::from_secs(2)));
        for wrong in [
            "",
            "0s",
            "2",
            "s",
            "-1s",
            "1.5s",
            "2m",
            "2 s",
            "123456789s",
            "2S",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
