use std::collections::HashMap;
use std::time::Duration;

use axum::response::Response;
use http::{HeaderMap, header};
use serde_json::Value;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::outcome;
use crate::context::Context;
use crate::{Problem, StatesAccess, codes};

/// Values of `ErrorInfo.metadata` and violations are at most so many: the header has its bounds.
const DETAILS_MAX: usize = 32;

/// `ErrorInfo.domain`, the same for every service: reasons are told apart by their names.
const DOMAIN: &str = "stanchion";

/// gRPC's form of a problem: its code, the message, and details as `google.rpc` has them.
///
/// | problem | status | details |
/// |---|---|---|
/// | 400, 406, 415, 422 `VALIDATION_FAILED` | `INVALID_ARGUMENT` | `BadRequest`, a violation a field or parameter |
/// | 401, 403 | `UNAUTHENTICATED`, `PERMISSION_DENIED` | |
/// | 404; no such method | `NOT_FOUND`; `UNIMPLEMENTED` | |
/// | 409 made by [`Code::exists`](crate::Code::exists); another version; else | `ALREADY_EXISTS`; `ABORTED`; `FAILED_PRECONDITION` | |
/// | 412; other 422 | `ABORTED`; `FAILED_PRECONDITION` | |
/// | 413, 414, 429, 431 | `RESOURCE_EXHAUSTED` | `RetryInfo` where a wait is known |
/// | 503 | `UNAVAILABLE` | `RetryInfo` |
/// | 408, 504 | `DEADLINE_EXCEEDED` | |
/// | other | `INTERNAL` | |
///
/// Each carries `ErrorInfo` with the problem's code as `reason` and its plain details as `metadata`, and its headers as
/// the status's own metadata (`idempotent-replayed`). The cause of what
/// is our fault is logged here, once.
impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        problem.log();
        status(&problem)
    }
}

/// A handler's result in gRPC's form.
///
/// # Errors
/// The problem, as a status.
pub fn respond<T>(result: Result<T, Problem>) -> Result<tonic::Response<T>, Status> {
    result.map(tonic::Response::new).map_err(Status::from)
}

/// The caller of the current call, as the access that its method states: `access::<Authorized<ReadOrders>>()?`.
///
/// # Errors
/// `UNAUTHENTICATED` or `PERMISSION_DENIED`, when the method states less than what is asked for here.
pub fn access<A: StatesAccess>() -> Result<A, Status> {
    let context = Context::current();
    let principal = context.as_deref().and_then(Context::principal);
    Ok(A::of(principal)?)
}

/// The whole answer: head and status in one, as for a call that was refused before it began.
pub(crate) fn rendered(problem: &Problem) -> Response {
    status(problem).into_http()
}

/// What tonic says of a message that is larger than it takes.
const TOO_LARGE: &str = "Error, decoded message length too large";

/// Adds what our own refusals have to a status that has no details: what tonic refuses by itself, or a handler did
/// without a problem. A message that is too large is `RESOURCE_EXHAUSTED`, as everywhere but in tonic. What came of it.
pub(super) fn detailed(headers: &mut HeaderMap) -> Option<Code> {
    let code = outcome(headers)?;
    // Most are well: of those nothing is read further, which would copy all headers.
    if code == Code::Ok {
        return Some(code);
    }
    let Some(mut status) = Status::from_header_map(headers) else {
        return Some(code);
    };
    if !status.details().is_empty() {
        return Some(code);
    }
    let mut reason = name(status.code());
    if status.code() == Code::OutOfRange && status.message().starts_with(TOO_LARGE) {
        status = Status::resource_exhausted(status.message());
        reason = codes::PAYLOAD_TOO_LARGE.name();
    }
    let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    let status = Status::with_error_details(status.code(), status.message(), details);
    if let Err(error) = status.add_header(headers) {
        tracing::warn!(%error, "a status goes without its details");
    }
    outcome(headers)
}

fn status(problem: &Problem) -> Status {
    let mut details = ErrorDetails::new();
    let plain: HashMap<String, String> = problem
        .details()
        .iter()
        .filter(|(name, _)| *name != "fields")
        .take(DETAILS_MAX)
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    details.set_error_info(problem.code(), DOMAIN, plain);
    let parameter = problem.details().get("parameter");
    if let Some((name, reason)) = parameter.zip(problem.details().get("reason")) {
        details.add_bad_request_violation(text(name), text(reason));
    }
    if let Some(Value::Object(fields)) = problem.details().get("fields") {
        let reasons = fields.iter().flat_map(|(field, reasons)| {
            let reasons = reasons.as_array().map_or(&[][..], Vec::as_slice);
            reasons.iter().map(move |reason| (field, text(reason)))
        });
        for (field, reason) in reasons.take(DETAILS_MAX) {
            details.add_bad_request_violation(field, reason);
        }
    }
    if let Some(wait) = retry_after(problem) {
        details.set_retry_info(Some(wait));
    }
    let (code, text) = (code(problem), problem.text());
    Status::with_error_details_and_metadata(code, text, details, metadata(problem))
}

/// Its headers, but for those that a status has other words for.
fn metadata(problem: &Problem) -> MetadataMap {
    let said = [header::RETRY_AFTER, header::WWW_AUTHENTICATE];
    let headers = problem.headers().iter();
    let headers = headers.filter(|(name, _)| !said.contains(name)).cloned();
    MetadataMap::from_headers(HeaderMap::from_iter(headers))
}

fn code(problem: &Problem) -> Code {
    let is = |code: crate::Code| problem.code() == code.name();
    match problem.status().as_u16() {
        404 | 405 if is(codes::ROUTE_NOT_FOUND) || is(codes::METHOD_NOT_ALLOWED) => {
            Code::Unimplemented
        }
        400 | 406 | 415 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        408 | 504 => Code::DeadlineExceeded,
        409 if problem.is_about_existence() => Code::AlreadyExists,
        409 if is(codes::VERSION_CONFLICT) || is(codes::REQUEST_IN_PROGRESS) => Code::Aborted,
        412 => Code::Aborted,
        422 if is(codes::VALIDATION_FAILED) => Code::InvalidArgument,
        409 | 422 => Code::FailedPrecondition,
        413 | 414 | 429 | 431 => Code::ResourceExhausted,
        503 => Code::Unavailable,
        _ => Code::Internal,
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn retry_after(problem: &Problem) -> Option<Duration> {
    let mut headers = problem.headers().iter();
    let (_, value) = headers.find(|(name, _)| *name == header::RETRY_AFTER)?;
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// The status's name, as metrics and logs have it.
pub(crate) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_came_of_a_call_is_what_its_status_says_in_the_end() {
        for (code, message, expected) in [
            (None, "", None),
            (Some("0"), "", Some(Code::Ok)),
            (Some("7"), "no", Some(Code::PermissionDenied)),
            (Some("11"), "beyond", Some(Code::OutOfRange)),
            (Some("11"), TOO_LARGE, Some(Code::ResourceExhausted)),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(code) = code {
                headers.insert("grpc-status", HeaderValue::from_static(code));
                headers.insert("grpc-message", HeaderValue::from_static(message));
            }
            // Once more, it has its details.
            for _ in 0..2 {
                assert_eq!(detailed(&mut headers), expected, "{code:?} {message}");
                assert_eq!(outcome(&headers), expected, "{code:?} {message}");
                let is_refused = expected.is_some_and(|code| code != Code::Ok);
                let has_details = headers.contains_key("grpc-status-details-bin");
                assert_eq!(has_details, is_refused, "{code:?} {message}");
            }
        }
    }
}
