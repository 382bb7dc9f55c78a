//! A call over the network.

use std::sync::Arc;

use http::uri::Uri;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use parking_lot::Mutex;
use stanchion_resilience::breaker::Verdict;
use stanchion_resilience::deadline::{Deadline, grpc_timeout, parse_grpc_timeout};
use stanchion_resilience::policy::{Attempt, Judge, PolicyError};
use stanchion_resilience::retry::{Effect, Retryable, Stopped, Terms};
use stanchion_resilience::{Failure, Moment, Priority};
use tonic::Status;
use tonic::body::Body;
use tracing::{Instrument, info_span};

use super::body::{Messages, Stream, Whole};
use super::methods::Method;
use super::status::{self, Said};
use crate::error::Fault;
use crate::line::{self, Arriving, Line, Outgoing, Seen, Streaming, Trying};
use crate::{ClientError, Reason};

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// How many attempts went before this one, as A6 names it; the first has none.
const PREVIOUS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");

/// One call, ready to be sent.
pub(super) struct Remote<'l> {
    line: &'l Arc<Line>,
    method: Method,
    head: http::request::Parts,
    uri: Uri,
    messages: Mutex<Option<Messages>>,
    terms: Terms,
    deadline: Deadline,
    seen: Seen,
}

impl<'l> Remote<'l> {
    pub(super) async fn of(
        line: &'l Arc<Line>,
        method: Method,
        request: Request<Body>,
    ) -> Result<Self, Status> {
        let (mut head, body) = request.into_parts();
        let max = line.settings.body_bytes_max.as_usize();
        let messages = if method.known && method.sends_stream {
            Messages::Coming(body)
        } else {
            Messages::of(body, max).await?
        };
        let given = head.headers.remove(TIMEOUT);
        let given = given.and_then(|value| parse_grpc_timeout(value.to_str().ok()?));
        let given = given.map(|time| Deadline::after(Moment::now(), time));
        let deadline = line.deadline(given);
        let malformed = |why| Status::from(ClientError::malformed(&line.name, why));
        let path = line.target.below(head.uri.path()).map_err(malformed)?;
        let uri = Uri::builder()
            .scheme(line.target.scheme())
            .authority(line.target.authority.clone())
            .path_and_query(path)
            .build();
        let uri = uri.map_err(|error| malformed(error.to_string()))?;
        let terms = terms(&head, method, &messages).until(deadline);
        Ok(Self {
            line,
            method,
            head,
            uri,
            messages: Mutex::new(Some(messages)),
            terms,
            deadline,
            seen: Seen::default(),
        })
    }

    pub(super) async fn send(self) -> Result<Response<Body>, Status> {
        // A method is one of few, unlike a path of REST.
        let (name, method) = (&self.line.name, self.uri.path());
        let span = info_span!("client.call", otel.name = %method, otel.kind = "client", dependency = %name);
        let sent = async {
            if self.method.known && !self.method.answers_stream {
                self.unary().await
            } else {
                self.streamed().await
            }
        };
        sent.instrument(span).await
    }

    /// Guarded up to its status.
    async fn unary(&self) -> Result<Response<Body>, Status> {
        let judge = Statuses(&self.messages);
        let max = self.line.settings.body_bytes_max.as_usize();
        let one_try = |attempt| async move {
            let trying = self.line.begin(attempt, &self.seen).await?;
            let left = Some(trying.left());
            let result = async {
                let response = self.sent(&trying, attempt, left).await?;
                let (head, body) = response.into_parts();
                let (message, trailers) = line::collected(body, max).await?;
                read(head, message, trailers)
            };
            settled(result.await, trying)
        };
        let called = self.line.policy.call(self.terms, &judge, one_try).await;
        called.or_else(|error| self.failed(error))
    }

    /// Guarded up to the head of its answer.
    async fn streamed(&self) -> Result<Response<Body>, Status> {
        let judge = Statuses(&self.messages);
        let place = Mutex::new(Some(self.place()?));
        let one_try = |attempt| async move {
            let trying = self.line.begin(attempt, &self.seen).await?;
            let until = self.deadline.moment();
            let left = until.map(|end| end.since(Moment::now()));
            let result = async {
                let response = self.sent(&trying, attempt, left).await?;
                head_of(response)
            };
            settled(result.await, trying)
        };
        let called = self.line.policy.call(self.terms, &judge, one_try).await;
        match called {
            Ok(response) => {
                let Some(place) = place.lock().take() else {
                    return Err(Status::internal("a stream without a place"));
                };
                let streamed = |body| Body::new(Stream::new(body, self.deadline, place));
                Ok(response.map(streamed))
            }
            Err(error) => self.failed(error),
        }
    }

    fn place(&self) -> Result<Streaming, Status> {
        self.line.stream().map_err(|refusal| {
            let (name, reason) = (&self.line.name, Reason::Refused(refusal));
            ClientError::new(name, None, reason, 1, Stopped::Final).into()
        })
    }

    async fn sent(
        &self,
        trying: &Trying<'_>,
        attempt: Attempt,
        left: Option<std::time::Duration>,
    ) -> Result<Response<Arriving>, Fault<Box<Said>>> {
        let mut request = Request::new(self.outgoing()?);
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.head.headers.clone();
        let headers = request.headers_mut();
        self.line.pass(headers);
        if let Some(left) = left
            && let Ok(left) = HeaderValue::from_str(&grpc_timeout(left))
        {
            headers.insert(TIMEOUT, left);
        }
        if attempt.number > 1 {
            headers.insert(PREVIOUS, (attempt.number - 1).into());
        }
        let mut response = trying.send(request).await?;
        status::sanitized(response.headers_mut());
        Ok(response)
    }

    fn outgoing(&self) -> Result<Outgoing, Fault<Box<Said>>> {
        let mut messages = self.messages.lock();
        match &*messages {
            Some(Messages::Whole(bytes)) => Ok(Outgoing::Whole(bytes.clone())),
            _ => match messages.take() {
                Some(Messages::Coming(body)) => Ok(Outgoing::Coming(body)),
                _ => Err(Fault::Malformed("its messages were sent once".into())),
            },
        }
    }

    /// The dependency's own answer stays what it is; all else is said for it.
    fn failed(&self, error: PolicyError<Fault<Box<Said>>>) -> Result<Response<Body>, Status> {
        let was_told =
            matches!(&error.last, Failure::Remote(Fault::Said(said)) if said.says_never());
        self.line.gave_up(error.stopped, was_told);
        if let Failure::Remote(Fault::Said(said)) = error.last {
            return Ok(said.answer);
        }
        let host = self.seen.last();
        Err(ClientError::of(&self.line.name, host, error, unanswered).into())
    }
}

/// What sending it twice does.
fn terms(head: &http::request::Parts, method: Method, messages: &Messages) -> Terms {
    let keyed = head.headers.contains_key(IDEMPOTENCY_KEY);
    let keyed = keyed.then_some(Effect::Repeatable);
    let given = head.extensions.get::<Effect>().copied();
    let effect = given.or(method.effect).or(keyed).unwrap_or(Effect::Once);
    let terms = match (messages, effect) {
        (Messages::Coming(_), _) | (_, Effect::Once) => Terms::once(),
        // Two streams of the same beside each other help nobody.
        (_, Effect::Read) if !method.known || method.answers_stream => Terms::repeatable(),
        (_, Effect::Read) => Terms::read(),
        (_, Effect::Repeatable) => Terms::repeatable(),
    };
    let priority = head.extensions.get::<Priority>().copied();
    terms.of_priority(priority.unwrap_or_default())
}

/// An answer that was read, or the error that it is.
fn read(
    head: http::response::Parts,
    message: bytes::Bytes,
    trailers: Option<HeaderMap>,
) -> Result<Response<Body>, Fault<Box<Said>>> {
    let mut trailers = trailers;
    if let Some(trailers) = &mut trailers {
        status::sanitized(trailers);
    }
    let spoken = trailers.as_ref().unwrap_or(&head.headers);
    let code = status::code(spoken).or_else(|| status::code(&head.headers));
    let code = code.unwrap_or_else(|| status::of_http(head.status));
    let retryable = status::retryable(code, spoken);
    let message = Some(message);
    let answer = Response::from_parts(head, Body::new(Whole { message, trailers }));
    if code == tonic::Code::Ok {
        return Ok(answer);
    }
    Err(Fault::Said(Box::new(Said {
        answer,
        code,
        retryable,
    })))
}

/// A stream that has begun, or the error that its head is.
fn head_of(response: Response<Arriving>) -> Result<Response<Arriving>, Fault<Box<Said>>> {
    let said = status::code(response.headers());
    let code = match said {
        Some(code) => code,
        None if response.status() == http::StatusCode::OK => return Ok(response),
        None => status::of_http(response.status()),
    };
    if code == tonic::Code::Ok {
        return Ok(response);
    }
    let retryable = status::retryable(code, response.headers());
    let (head, _nothing) = response.into_parts();
    Err(Fault::Said(Box::new(Said {
        answer: Response::from_parts(head, Body::empty()),
        code,
        retryable,
    })))
}

fn settled<T>(
    result: Result<T, Fault<Box<Said>>>,
    trying: Trying<'_>,
) -> Result<T, Fault<Box<Said>>> {
    let outcome = result.as_ref().err().map_or("ok", line::label);
    trying.ended(outcome, verdict(&result));
    result
}

fn unanswered(_: Box<Said>) -> Reason {
    Reason::Broken("a status without its answer".into())
}

fn verdict<T>(result: &Result<T, Fault<Box<Said>>>) -> Verdict {
    let Err(fault) = result else {
        return Verdict::Success;
    };
    line::verdict_of(fault, |said| status::verdict(said.code))
}

/// What statuses mean; messages that are gone cannot be sent again, whatever is said.
struct Statuses<'m>(&'m Mutex<Option<Messages>>);

impl<T: Send> Judge<T, Fault<Box<Said>>> for Statuses<'_> {
    fn verdict(&self, result: &Result<T, Fault<Box<Said>>>) -> Verdict {
        verdict(result)
    }

    fn retryable(&self, fault: &Fault<Box<Said>>) -> Retryable {
        if self.0.lock().is_none() {
            return Retryable::Never;
        }
        line::retryable(fault, |said| said.retryable)
    }
}
