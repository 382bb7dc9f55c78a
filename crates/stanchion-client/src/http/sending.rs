//! A call on its way, and what its answers mean.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use stanchion_resilience::breaker::Verdict;
use stanchion_resilience::policy::{Attempt, Judge, PolicyError};
use stanchion_resilience::retry::{self, Retryable, Terms};
use stanchion_resilience::{Failure, deadline};
use tracing::{Span, info_span};

use super::Response;
use crate::error::Fault;
use crate::line::{self, Arriving, Line, Outgoing, Seen};
use crate::{ClientError, Reason};

const ATTEMPT: HeaderName = HeaderName::from_static("x-request-attempt");

/// A call that can be sent any number of times.
pub(super) struct Sending<'c> {
    pub(super) line: &'c Arc<Line>,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) terms: Terms,
    pub(super) seen: Seen,
}

impl Sending<'_> {
    /// The call in traces, with all its attempts; its name has no path, of which there are too many.
    pub(super) fn span(&self) -> Span {
        let (method, name) = (&self.method, &self.line.name);
        let shown = format_args!("{method} {name}");
        info_span!("client.call", otel.name = %shown, otel.kind = "client", dependency = %name)
    }

    /// Why there is no answer; whoever is being served hears that it was tried again.
    pub(super) fn failed(&self, error: PolicyError<Fault<Response>>) -> ClientError {
        let answer = match &error.last {
            Failure::Remote(Fault::Said(answer)) => Some(answer),
            _ => None,
        };
        let was_told = answer.is_some_and(|answer| answer.header(retry::HEADER) == Some("false"));
        self.line.gave_up(error.stopped, was_told);
        ClientError::of(&self.line.name, self.seen.last(), error, Reason::Status)
    }

    /// `left` is what the host is told to be left; nothing where its answer may go on for as long as it likes.
    pub(super) fn request(&self, attempt: Attempt, left: Option<Duration>) -> Request<Outgoing> {
        let mut request = Request::new(Outgoing::Whole(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        self.line.pass(headers);
        if self.line.settings.pass_context {
            headers.insert(ATTEMPT, attempt.number.into());
            if let Some(left) = left
                && let Ok(left) = HeaderValue::from_str(&deadline::http_timeout(left))
            {
                headers.insert(deadline::HEADER, left);
            }
        }
        request
    }
}

/// What statuses mean.
#[derive(Clone, Copy)]
pub(super) struct Status;

impl<T: Send> Judge<T, Fault<Response>> for Status {
    fn verdict(&self, result: &Result<T, Fault<Response>>) -> Verdict {
        let Err(fault) = result else {
            return Verdict::Success;
        };
        line::verdict_of(fault, |answer| Verdict::of_http(answer.status.as_u16()))
    }

    fn retryable(&self, fault: &Fault<Response>) -> Retryable {
        line::retryable(fault, |answer| {
            let asked = answer.header(http::header::RETRY_AFTER);
            let said = match answer.status.as_u16() {
                // Still at work on the same call under its idempotency key: it says when to ask again.
                409 if asked.is_some() => Retryable::unknown(),
                status => Retryable::of_http(status),
            };
            let said = said.with_should_retry(answer.header(retry::HEADER));
            match answer.date() {
                Some(made) => said.with_retry_after_at(asked, made),
                None => said.with_retry_after(asked),
            }
        })
    }
}

pub(super) async fn read(
    response: http::Response<Arriving>,
    max: usize,
) -> Result<Response, Fault<Response>> {
    let (head, body) = response.into_parts();
    let (body, _trailers) = line::collected(body, max).await?;
    Ok(Response {
        status: head.status,
        headers: head.headers,
        body,
    })
}

/// An answer that is no error.
pub(super) async fn whole(
    response: http::Response<Arriving>,
    max: usize,
) -> Result<Response, Fault<Response>> {
    let answer = read(response, max).await?;
    if is_error(answer.status) {
        return Err(Fault::Said(answer));
    }
    Ok(answer)
}

pub(super) fn is_error(status: http::StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

pub(super) fn outcome<T>(result: &Result<T, Fault<Response>>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(fault) => line::label(fault),
    }
}
