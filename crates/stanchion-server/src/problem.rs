use std::fmt;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stanchion_eventsourcing::Position;

use crate::context::Context;
use crate::{Code, codes, envelope};

/// How long a client is told to wait when nothing better is known.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// What went wrong, in a form a client may see, with a cause for the log only.
///
/// It becomes the error envelope, or RFC 9457 with `Accept: application/problem+json`. The cause of
/// a 5xx is logged once, when the answer is made; the client sees code and message alone.
#[derive(Debug)]
pub struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: String,
    status: StatusCode,
    message: String,
    details: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    replay: Option<Replay>,
    about_existence: bool,
}

/// The answer of an earlier run of the same request.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) answer: Vec<u8>,
    pub(crate) position: Option<Position>,
}

/// A problem as the inbox keeps it for a repeated request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredProblem {
    code: String,
    status: u16,
    message: String,
    details: Map<String, Value>,
    #[serde(default)]
    about_existence: bool,
}

impl Problem {
    /// The problem with this code and its usual message.
    #[must_use]
    pub fn of(code: Code) -> Self {
        let mut problem = Self::raw(code.status(), code.name(), code.message());
        problem.0.about_existence = code.is_about_existence();
        if code.status() == StatusCode::SERVICE_UNAVAILABLE {
            return problem.retry_after(RETRY_AFTER_DEFAULT);
        }
        problem
    }

    /// 404 `<KIND>_NOT_FOUND`: `Problem::not_found("ORDER", id)` tells `details.order_id`.
    #[must_use]
    pub fn not_found(kind: &str, id: impl fmt::Display) -> Self {
        let noun = kind.to_ascii_lowercase();
        let message = format!("There is no such {}.", noun.replace('_', " "));
        Self::raw(
            StatusCode::NOT_FOUND,
            &format!("{kind}_NOT_FOUND"),
            &message,
        )
        .with(&format!("{noun}_id"), id.to_string())
    }

    /// 409 with this code.
    #[must_use]
    pub fn conflict(code: &str, message: &str) -> Self {
        Self::raw(StatusCode::CONFLICT, code, message)
    }

    /// 403 `FORBIDDEN`.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::of(codes::FORBIDDEN)
    }

    /// 401 `UNAUTHENTICATED` with `WWW-Authenticate`.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::of(codes::UNAUTHENTICATED)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 503 `UNAVAILABLE` with `Retry-After`; the cause goes to the log.
    #[must_use]
    pub fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::of(codes::UNAVAILABLE).caused_by(cause)
    }

    /// 500 `INTERNAL`; the cause goes to the log.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::of(codes::INTERNAL).caused_by(cause)
    }

    /// 412 `PRECONDITION_FAILED`.
    #[must_use]
    pub fn precondition_failed() -> Self {
        Self::of(codes::PRECONDITION_FAILED)
    }

    /// 400 `INVALID_PARAMETER`, naming the path, query or header parameter.
    #[must_use]
    pub fn invalid_parameter(name: &str, reason: impl fmt::Display) -> Self {
        Self::of(codes::INVALID_PARAMETER)
            .with("parameter", name)
            .with("reason", reason.to_string())
    }

    /// 422 `VALIDATION_FAILED` with one reason for one field, such as `items[0].sku`.
    #[must_use]
    pub fn invalid_field(path: &str, reason: &str) -> Self {
        let mut violations = crate::Violations::default();
        violations.add(path, reason);
        Self::validation(violations)
    }

    /// 422 `VALIDATION_FAILED` with all of these.
    #[must_use]
    pub fn validation(violations: crate::Violations) -> Self {
        Self::of(codes::VALIDATION_FAILED).with("fields", violations.into_fields())
    }

    /// Adds a detail.
    ///
    /// A value that does not serialise is left out.
    #[must_use]
    pub fn with(mut self, detail: &str, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.details.insert(detail.to_owned(), value);
        }
        self
    }

    /// Says it in other words.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// Keeps what caused it, for the log alone.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Tells the client how long to wait before it tries again, in whole seconds, at least one.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.0
            .headers
            .retain(|(name, _)| name != header::RETRY_AFTER);
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Its code, such as `ORDER_NOT_FOUND`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// Its details.
    #[must_use]
    pub fn details(&self) -> &Map<String, Value> {
        &self.0.details
    }

    /// The message a client sees.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.message
    }

    /// Whether a repeat of the request shall get the same answer: 409 and 422 of the domain.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self.0.status.as_u16(), 409 | 422)
            && self.code() != codes::REQUEST_IN_PROGRESS.name()
            && self.code() != codes::VERSION_CONFLICT.name()
    }

    pub(crate) fn stored(&self) -> StoredProblem {
        StoredProblem {
            code: self.0.code.clone(),
            status: self.0.status.as_u16(),
            message: self.0.message.clone(),
            details: self.0.details.clone(),
            about_existence: self.0.about_existence,
        }
    }

    /// Whether what was to be made is there already.
    pub(crate) fn is_about_existence(&self) -> bool {
        self.0.about_existence
    }

    pub(crate) fn take_replay(&mut self) -> Option<Replay> {
        self.0.replay.take()
    }

    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    /// Logs the cause of what is our fault; called once, where the answer is made.
    pub(crate) fn log(&self) {
        // What is shed is counted: a line each would be the more to do the less can be done.
        if !self.0.status.is_server_error() || self.code() == codes::OVERLOADED.name() {
            return;
        }
        let cause = self.0.cause.as_deref().map(chain);
        if self.0.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(code = self.code(), cause, "request failed");
        } else {
            tracing::warn!(code = self.code(), cause, "request not served");
        }
    }

    /// The effect is there from an earlier run: its answer takes the place of this problem.
    pub(crate) fn replay(answer: Option<Vec<u8>>, position: Option<Position>) -> Self {
        let mut problem = Self::of(codes::REQUEST_IN_PROGRESS);
        problem.0.replay = answer.map(|answer| Replay { answer, position });
        problem
    }

    fn raw(status: StatusCode, code: &str, message: &str) -> Self {
        Self(Box::new(Inner {
            code: code.to_owned(),
            status,
            message: message.to_owned(),
            details: Map::new(),
            headers: Vec::new(),
            cause: None,
            replay: None,
            about_existence: false,
        }))
    }
}

impl From<StoredProblem> for Problem {
    fn from(stored: StoredProblem) -> Self {
        let status =
            StatusCode::from_u16(stored.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut problem = Self::raw(status, &stored.code, &stored.message);
        problem.0.details = stored.details;
        problem.0.about_existence = stored.about_existence;
        problem
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::of(code)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.0.status.as_u16(),
            self.0.code,
            self.0.message
        )
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }
}

/// Rendered for the current request: its id, and the form it accepts.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.log();
        envelope::problem(&self, Context::current().as_deref())
    }
}

/// A cause with everything below it, on one line.
fn chain(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    let mut text = cause.to_string();
    let mut next = cause.source();
    while let Some(error) = next {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = error.source();
    }
    text
}
