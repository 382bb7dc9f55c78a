//! Statuses: what the dependency said, and what is said for it.

use std::sync::Arc;

use http::HeaderMap;
use stanchion_resilience::Refusal;
use stanchion_resilience::breaker::Verdict;
use stanchion_resilience::retry::Retryable;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{ClientError, Reason};

const STATUS: &str = "grpc-status";
const DETAILS: &str = "grpc-status-details-bin";
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// An error that the dependency answered: the answer itself, and what it says.
pub(super) struct Said {
    pub(super) answer: http::Response<tonic::body::Body>,
    pub(super) code: Code,
    pub(super) retryable: Retryable,
}

impl Said {
    /// Whether it could pass by its code, and the dependency says not to try it again.
    pub(super) fn says_never(&self) -> bool {
        let by_code = Retryable::of_grpc(self.code as i32);
        by_code != Retryable::Never && self.retryable == Retryable::Never
    }
}

/// The code in a head or in trailers; `None` if there is none.
pub(super) fn code(headers: &HeaderMap) -> Option<Code> {
    headers
        .get(STATUS)
        .map(|status| Code::from_bytes(status.as_bytes()))
}

/// What an HTTP status means where there is no gRPC one
/// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
pub(super) fn of_http(status: http::StatusCode) -> Code {
    match status.as_u16() {
        200 => Code::Unknown,
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

pub(super) fn verdict(code: Code) -> Verdict {
    Verdict::of_grpc(code as i32)
}

/// Whether it can pass, and when: the server's pushback before the `RetryInfo` among its details.
pub(super) fn retryable(code: Code, headers: &HeaderMap) -> Retryable {
    let class = Retryable::of_grpc(code as i32);
    if let Some(pushback) = headers.get(PUSHBACK) {
        // What is no text is malformed, which means never (A6).
        return class.with_pushback(Some(pushback.to_str().unwrap_or("malformed")));
    }
    match retry_info(headers) {
        Some(millis) => class.with_pushback(Some(&millis)),
        // Whoever limits us names a wait. Without one it may be an answer too large to be sent, of a call that was done.
        None if code == Code::ResourceExhausted => Retryable::unknown(),
        None => class,
    }
}

fn retry_info(headers: &HeaderMap) -> Option<String> {
    headers.get(DETAILS)?;
    let status = Status::from_header_map(headers)?;
    let asked = status.get_details_retry_info()?.retry_delay?;
    Some(asked.as_millis().to_string())
}

/// Details that are no base64 would end tonic with a panic: they are left out.
pub(super) fn sanitized(headers: &mut HeaderMap) {
    let is_base64 = |text: &[u8]| {
        let body = text.iter().position(|byte| *byte == b'=');
        let (body, padding) = text.split_at(body.unwrap_or(text.len()));
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        let whole = body.len() % 4 != 1 && body.iter().all(plain);
        let padded = padding.is_empty()
            || (padding.iter().all(|byte| *byte == b'=') && text.len().is_multiple_of(4));
        whole && padded && ends_clean(body)
    };
    if headers
        .get(DETAILS)
        .is_some_and(|value| !is_base64(value.as_bytes()))
    {
        headers.remove(DETAILS);
    }
}

/// Whether the bits of the last letter that stand for no byte are zero, as a strict reader wants it.
fn ends_clean(body: &[u8]) -> bool {
    let Some(last) = body.last() else { return true };
    let value = match last {
        b'A'..=b'Z' => last - b'A',
        b'a'..=b'z' => last - b'a' + 26,
        b'0'..=b'9' => last - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    match body.len() % 4 {
        2 => value & 0b1111 == 0,
        3 => value & 0b11 == 0,
        _ => true,
    }
}

pub(super) fn broken(error: &hyper::Error) -> Status {
    Status::unavailable(format!("the answer was lost: {error}"))
}

/// What is said for a dependency that said nothing.
impl From<ClientError> for Status {
    fn from(error: ClientError) -> Self {
        let code = match error.reason() {
            Reason::Refused(Refusal::NoTimeLeft) | Reason::TimedOut(_) => Code::DeadlineExceeded,
            Reason::Refused(_) | Reason::Connect(_) | Reason::Broken(_) => Code::Unavailable,
            Reason::Status(answer) => of_http(answer.status()),
            Reason::TooLarge(_) => Code::ResourceExhausted,
            Reason::Malformed(_) => Code::Internal,
        };
        let mut status = Status::new(code, error.to_string());
        status.set_source(Arc::new(error));
        status
    }
}

impl ClientError {
    /// The error of ours behind a status that a call through a [`GrpcChannel`](crate::GrpcChannel) gave; `None` when the
    /// dependency itself has said it.
    #[must_use]
    pub fn of_status(status: &Status) -> Option<&ClientError> {
        std::error::Error::source(status)?.downcast_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(details: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(STATUS, "14".parse().unwrap());
        headers.insert(DETAILS, details.parse().unwrap());
        sanitized(&mut headers);
        let kept = headers.contains_key(DETAILS);
        assert!(Status::from_header_map(&headers).is_some(), "{details}");
        kept
    }

    #[test]
    fn details_that_are_no_base64_are_left_out_before_they_are_read() {
        for good in ["", "AAAA", "AA", "AAA", "AA==", "AAA=", "CA4SBGdvbmU"] {
            assert!(with(good), "{good}");
        }
        for bad in [
            "!", "A", "AB", "AAB", "A===", "AA=", "AA=A", "é", "A A", "____",
        ] {
            assert!(!with(bad), "{bad}");
        }
    }

    #[test]
    fn pushback_says_when_and_whether() {
        let mut headers = HeaderMap::new();
        let unavailable = |headers: &HeaderMap| retryable(Code::Unavailable, headers);
        assert_eq!(unavailable(&headers), Retryable::unknown());
        headers.insert(PUSHBACK, "250".parse().unwrap());
        let after = Some(std::time::Duration::from_millis(250));
        assert_eq!(unavailable(&headers), Retryable::Unknown { after });
        for never in ["-1", "soon"] {
            headers.insert(PUSHBACK, never.parse().unwrap());
            assert_eq!(unavailable(&headers), Retryable::Never, "{never}");
        }
    }

    #[test]
    fn that_it_was_tried_again_is_told_by_pushback_alone() {
        let said = |code: Code, retryable: Retryable| Said {
            answer: http::Response::new(tonic::body::Body::empty()),
            code,
            retryable,
        };
        assert!(said(Code::Unavailable, Retryable::Never).says_never());
        assert!(!said(Code::Unavailable, Retryable::unknown()).says_never());
        assert!(!said(Code::NotFound, Retryable::Never).says_never());
    }
}
