use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde::Serialize;
use stanchion_config::{ExposeSecret, SecretString};
use stanchion_resilience::Priority;
use stanchion_resilience::deadline::Deadline;
use stanchion_resilience::policy::Judge;
use stanchion_resilience::retry::{Effect, Stopped, Terms};
use tracing::Instrument;

use super::sending::{Sending, Status, is_error, outcome, read, whole};
use super::{HttpClient, Response, Streamed};
use crate::error::Fault;
use crate::line::{Line, Seen};
use crate::{ClientError, Reason};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A call being made ready; [`send`](Self::send) sends it.
#[must_use = "a call is nothing until it is sent"]
pub struct Call<'c> {
    line: &'c Arc<Line>,
    method: Method,
    path: Result<PathAndQuery, String>,
    headers: HeaderMap,
    body: Bytes,
    effect: Option<Effect>,
    deadline: Option<Deadline>,
    priority: Priority,
    wrong: Option<String>,
}

impl<'c> Call<'c> {
    pub(super) fn new(client: &'c HttpClient, method: Method, path: &str) -> Self {
        Self {
            line: &client.line,
            path: client.line.target.below(path),
            method,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            effect: None,
            deadline: None,
            priority: Priority::default(),
            wrong: None,
        }
    }

    /// Adds a header.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: fmt::Display>,
        V: TryInto<HeaderValue, Error: fmt::Display>,
    {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) => {
                self.headers.append(name, value);
            }
            (Err(error), _) => self.wrong = Some(error.to_string()),
            (_, Err(error)) => self.wrong = Some(error.to_string()),
        }
        self
    }

    /// Signs it with a bearer token, which is shown nowhere.
    pub fn bearer(mut self, token: &SecretString) -> Self {
        match HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.headers.insert(AUTHORIZATION, value);
            }
            Err(_) => self.wrong = Some("the token is no header".into()),
        }
        self
    }

    /// Gives it a key by which the dependency knows a repeat: it may be sent again then.
    pub fn idempotency_key(self, key: impl fmt::Display) -> Self {
        self.header(IDEMPOTENCY_KEY, key.to_string())
    }

    /// Its body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// A body of JSON.
    pub fn json(self, value: &impl Serialize) -> Self {
        self.typed("application/json", serde_json::to_vec(value))
    }

    /// A form as the body: pairs, or a struct of plain values.
    pub fn form(self, fields: &impl Serialize) -> Self {
        let body = serde_urlencoded::to_string(fields);
        self.typed("application/x-www-form-urlencoded", body)
    }

    /// What sending it twice does, where method and idempotency key do not say it.
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = Some(effect);
        self
    }

    /// When its caller stops waiting; a nearer deadline of the policy or of the request being served wins.
    pub fn until(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How much it matters, where the policy sheds load.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sends it, as often as the policy and its effect allow, and reads the answer whole within the policy.
    ///
    /// # Errors
    /// [`ClientError`]; an answer of 400 and above is [`Reason::Status`], with its body.
    pub async fn send(self) -> Result<Response, ClientError> {
        let (sending, deadline) = self.ready()?;
        let max = sending.line.settings.body_bytes_max.as_usize();
        let terms = sending.terms.until(deadline);
        let judge = Status;
        let one_try = |attempt| {
            let sending = &sending;
            async move {
                let trying = sending.line.begin(attempt, &sending.seen).await?;
                let result = async {
                    let request = sending.request(attempt, Some(trying.left()));
                    let response = trying.send(request).await?;
                    whole(response, max).await
                };
                let result = result.await;
                trying.ended(outcome(&result), judge.verdict(&result));
                result
            }
        };
        let span = sending.span();
        let called = sending.line.policy.call(terms, &judge, one_try);
        let called = called.instrument(span).await;
        called.map_err(|error| sending.failed(error))
    }

    /// Sends it, and gives the answer as soon as its head is there. The policy guards until then; afterwards the body
    /// has a place of `streams_max` and ends with the deadline that was given, or that of the request being served.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn stream(self) -> Result<Streamed, ClientError> {
        let (sending, until) = self.ready()?;
        let name = sending.line.name.clone();
        let place = sending.line.stream().map_err(|refusal| {
            ClientError::new(&name, None, Reason::Refused(refusal), 1, Stopped::Final)
        })?;
        let max = sending.line.settings.body_bytes_max.as_usize();
        let judge = Status;
        let one_try = |attempt| {
            let sending = &sending;
            async move {
                let trying = sending.line.begin(attempt, &sending.seen).await?;
                // What the body has, not what its head may take.
                let left = trying.left_until(until);
                let result = async {
                    let request = sending.request(attempt, left);
                    let response = trying.send(request).await?;
                    if is_error(response.status()) {
                        return Err(Fault::Said(read(response, max).await?));
                    }
                    Ok(response)
                };
                let result = result.await;
                trying.ended(outcome(&result), judge.verdict(&result));
                result
            }
        };
        let span = sending.span();
        let called = sending
            .line
            .policy
            .call(sending.terms.until(until), &judge, one_try);
        let called = called.instrument(span).await;
        let response = called.map_err(|error| sending.failed(error))?;
        let (head, body) = response.into_parts();
        Ok(Streamed {
            status: head.status,
            headers: head.headers,
            body,
            until,
            dependency: name,
            host: sending.seen.last(),
            _place: place,
        })
    }

    fn typed(
        mut self,
        kind: &'static str,
        body: Result<impl Into<Bytes>, impl fmt::Display>,
    ) -> Self {
        match body {
            Ok(body) => {
                let kind = HeaderValue::from_static(kind);
                self.headers.insert(CONTENT_TYPE, kind);
                self.body = body.into();
            }
            Err(error) => self.wrong = Some(error.to_string()),
        }
        self
    }

    fn ready(self) -> Result<(Sending<'c>, Deadline), ClientError> {
        let malformed = |why| ClientError::malformed(&self.line.name, why);
        if let Some(why) = self.wrong {
            return Err(malformed(why));
        }
        let target = &self.line.target;
        let uri = Uri::builder()
            .scheme(target.scheme())
            .authority(target.authority.clone())
            .path_and_query(self.path.map_err(malformed)?)
            .build();
        let uri = uri.map_err(|error| malformed(error.to_string()))?;
        let keyed = self.headers.contains_key(IDEMPOTENCY_KEY);
        let effect = self.effect.unwrap_or_else(|| usual(&self.method, keyed));
        let terms = match effect {
            Effect::Read => Terms::read(),
            Effect::Repeatable => Terms::repeatable(),
            Effect::Once => Terms::once(),
        };
        let sending = Sending {
            line: self.line,
            method: self.method,
            uri,
            headers: self.headers,
            body: self.body,
            terms: terms.of_priority(self.priority),
            seen: Seen::default(),
        };
        let deadline = self.line.deadline(self.deadline);
        Ok((sending, deadline))
    }
}

/// What sending a call twice does, as HTTP has it (RFC 9110, 9.2).
fn usual(method: &Method, keyed: bool) -> Effect {
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE => Effect::Read,
        Method::PUT | Method::DELETE => Effect::Repeatable,
        _ if keyed => Effect::Repeatable,
        _ => Effect::Once,
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("dependency", &self.line.name)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}
