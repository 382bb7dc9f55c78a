//! The way of a request through its operation, after the service's own stack.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use stanchion_messaging::InboxKey;
use tokio::time::Instant;

use super::Operation;
use crate::admission::{Lane, awaited};
use crate::answer::{Outcome, Success};
use crate::context::{Context, ModuleParts};
use crate::extract::{BodyLimit, Collected, collect, consistency_stamp, requested_timeout};
use crate::idempotency;
use crate::present::Sought;
use crate::service::Authenticator;
use crate::timely::timely;
use crate::{Access, IdempotencyRule, Problem, codes, envelope};

/// An operation where it is mounted.
pub(crate) struct Mounted {
    pub(crate) operation: Operation,
    pub(crate) module: Arc<ModuleParts>,
    /// The whole template, base path included.
    pub(crate) endpoint: Arc<str>,
    pub(crate) deadline: Duration,
    pub(crate) body_bytes_max: usize,
    pub(crate) idempotency: IdempotencyRule,
    pub(crate) form: Form,
    pub(crate) lane: Lane,
    pub(crate) authenticator: Authenticator,
    /// Every status and code it declares, to notice what it does not.
    pub(crate) statuses: Vec<u16>,
    pub(crate) codes: Vec<&'static str>,
}

/// What a client must take.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Json,
    Events,
    Fixed,
}

/// Serves a request that the router has matched to this operation.
pub(crate) async fn serve(mounted: Arc<Mounted>, request: Request) -> Response {
    let Some(context) = request.extensions().get::<Arc<Context>>().cloned() else {
        return Problem::internal("a route outside its service").into_response();
    };
    let _ = context.endpoint.set(mounted.endpoint.clone());
    let _ = context.module.set(mounted.module.clone());
    // The deadline comes first: everything below, reading the body included, is bounded by it.
    let requested = context.present.has(Sought::RequestTimeout);
    let requested = requested.then(|| requested_timeout(request.headers()));
    let longest = mounted.deadline;
    let deadline = match requested.transpose() {
        Ok(requested) => Instant::now() + requested.flatten().unwrap_or(longest).min(longest),
        Err(problem) => return problem.into_response(),
    };
    let _ = context.deadline.set(deadline);
    // Shed before a body is read: refusing must be cheaper than serving.
    let admission = &context.lent.admission;
    let working = match admission
        .admit(&mounted.lane, request.headers(), &context)
        .await
    {
        Ok(working) => working,
        Err(problem) => return problem.into_response(),
    };
    let request = awaited(request, &context);
    // Pinned here: what is handed to an async function is kept there twice.
    let outcome = timely(deadline, pin!(mounted.outcome(request, &context))).await;
    let late = |_| Outcome::Problem(codes::DEADLINE_EXCEEDED.problem());
    let outcome = outcome.unwrap_or_else(late);
    let response = mounted.rendered(outcome, &context);
    working.answered(&response);
    response
}

impl Mounted {
    /// What becomes of the request: refused on the way, replayed, or handled.
    async fn outcome(&self, mut request: Request, context: &Arc<Context>) -> Outcome {
        // Body limit: what says that it is too large is refused before anything is read.
        let limit = self.body_bytes_max;
        if declared_length(request.headers()).is_some_and(|length| length > limit as u64) {
            return Outcome::rejected(codes::PAYLOAD_TOO_LARGE.with("bytes_max", limit));
        }
        request.extensions_mut().insert(BodyLimit(limit));
        // Gzip has been undone and its header taken off; what is still there is not taken.
        if context.present.has(Sought::ContentEncoding)
            && let Some(encoding) = request.headers().get(header::CONTENT_ENCODING)
            && encoding != "identity"
        {
            return Outcome::rejected(
                codes::UNSUPPORTED_MEDIA_TYPE.with("content_encodings", ["gzip"]),
            );
        }
        // Authentication and access, before a stranger can make us work.
        let admitted = self
            .authenticator
            .admit(self.operation.access, request.headers(), context);
        if let Err(problem) = admitted.await {
            return Outcome::rejected(problem);
        }
        if let Err(problem) = self.acceptable(context) {
            return Outcome::rejected(problem);
        }
        // Idempotency, then the handler's own extractors (validation), then the handler.
        let outcome = match idempotency::key(self.idempotency, request.headers()) {
            Ok(Some(key)) => self.once(key, request, context).await,
            Ok(None) => self.operation.call(request, ()).await,
            Err(problem) => Outcome::rejected(problem),
        };
        self.decided(outcome, context)
    }

    /// Nothing of a guarded object leaves unless policies were asked about it; for what is replayed they were.
    fn decided(&self, outcome: Outcome, context: &Context) -> Outcome {
        let leaves = match &outcome {
            Outcome::Success(success) => !success.replayed,
            Outcome::Raw(response) => response.status().is_success(),
            Outcome::Problem(_) | Outcome::Rejected(_) => false,
        };
        if leaves && context.is_unasked(self.operation.access) {
            return Outcome::Problem(unasked(self.operation.access));
        }
        outcome
    }

    fn acceptable(&self, context: &Context) -> Result<(), Problem> {
        let fits = match self.form {
            // What another standard fixes is not negotiated.
            Form::Fixed => true,
            Form::Events => context.accept.events,
            Form::Json => context.accept.json,
        };
        let form = match self.form {
            Form::Events => "text/event-stream",
            Form::Json | Form::Fixed => "application/json",
        };
        if fits {
            Ok(())
        } else {
            Err(codes::NOT_ACCEPTABLE.with("content_types", [form]))
        }
    }

    /// Serves a request that carries an idempotency key, at most once.
    async fn once(&self, key: String, request: Request, context: &Arc<Context>) -> Outcome {
        let Some((inbox, caller)) = self.module.inbox.clone().zip(context.principal()) else {
            return self.operation.call(request, ()).await;
        };
        let (parts, body) = request.into_parts();
        let bytes = match collect(Request::from_parts(parts.clone(), body)).await {
            Ok(bytes) => bytes,
            Err(problem) => return Outcome::rejected(problem),
        };
        let fingerprint = idempotency::fingerprint(&parts, &bytes);
        let caller = idempotency::caller(caller);
        let key = InboxKey::request(&caller, &self.route_name(&parts), &key);
        let serve = |argument: idempotency::Idempotency| {
            let mut request = Request::from_parts(parts, axum::body::Body::from(bytes.clone()));
            request.extensions_mut().insert(Collected(bytes));
            request.extensions_mut().insert(argument);
            self.operation.call(request, ())
        };
        idempotency::once(inbox, key, fingerprint, context, serve).await
    }

    /// Method and template without slashes, which separate the parts of an inbox key.
    fn route_name(&self, parts: &Parts) -> String {
        format!("{}{}", parts.method, self.endpoint.replace('/', ":"))
    }

    fn rendered(&self, outcome: Outcome, context: &Arc<Context>) -> Response {
        self.notice_undeclared(&outcome);
        let mut response = match outcome {
            Outcome::Success(success) => self.success(success, context),
            Outcome::Problem(problem) => problem.into_response(),
            Outcome::Rejected(response) | Outcome::Raw(response) => enveloped(response),
        };
        self.add_cache_control(&mut response);
        response
    }

    fn success(&self, success: Success, context: &Arc<Context>) -> Response {
        let Success {
            stored,
            mut meta,
            consistency,
            headers,
            replayed,
        } = success;
        let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
        if let Some((log, position)) = consistency {
            let token = consistency_stamp(&context.lent.signer, self.module.name, log, position);
            meta.insert("consistency_token".into(), token.into());
        }
        let etag = stored.etag.map(|version| format!("\"{version}\""));
        let known = etag.as_deref().is_some_and(|etag| is_known(context, etag));
        let mut response = match &stored.data {
            _ if known && status == StatusCode::OK && context.is_read() => {
                empty(StatusCode::NOT_MODIFIED)
            }
            Some(data) => envelope::success(status, data, meta, context),
            None => empty(status),
        };
        let mut add = |name: HeaderName, text: &str| {
            if let Ok(value) = HeaderValue::from_str(text) {
                response.headers_mut().insert(name, value);
            }
        };
        if let Some(etag) = &etag {
            add(header::ETAG, etag);
        }
        if let Some(location) = &stored.location {
            add(header::LOCATION, &self.absolute(location));
        }
        if replayed {
            add(HeaderName::from_static("idempotent-replayed"), "true");
        }
        if let Some(preference) = context.preference.get() {
            add(HeaderName::from_static("preference-applied"), preference);
        }
        response
            .headers_mut()
            .extend(headers.into_iter().map(|(name, value)| (Some(name), value)));
        response
    }

    fn absolute(&self, location: &str) -> String {
        if location.starts_with('/') {
            format!("{}{location}", self.module.base)
        } else {
            location.to_owned()
        }
    }

    /// Personal data and tokens are kept by nobody; what is public is asked for again with its ETag.
    fn add_cache_control(&self, response: &mut Response) {
        let public = self.operation.access == Access::Public && response.status().is_success();
        let has_etag = response.headers().contains_key(header::ETAG);
        let rule = if public && has_etag {
            "no-cache"
        } else {
            "no-store"
        };
        response
            .headers_mut()
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static(rule));
    }

    /// The document must not lie: what an operation answers and does not declare is a defect.
    fn notice_undeclared(&self, outcome: &Outcome) {
        let undeclared = match outcome {
            Outcome::Success(success) if !self.statuses.contains(&success.stored.status) => {
                success.stored.status.to_string()
            }
            Outcome::Problem(problem) if !self.codes.contains(&problem.code()) => {
                problem.code().to_owned()
            }
            _ => return,
        };
        tracing::error!(
            endpoint = &*self.endpoint,
            undeclared,
            "an operation answered what it does not declare: add it with .status() or .errors()"
        );
        debug_assert!(
            false,
            "{} answered {undeclared}, which it does not declare",
            self.operation.name
        );
    }
}

/// An answer is withheld: a mistake in the handler, found by its first request.
pub(crate) fn unasked(access: Access) -> Problem {
    Problem::internal(format!("withheld, for no policy was asked: {access}"))
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn is_known(context: &Context, etag: &str) -> bool {
    context.if_none_match.as_deref().is_some_and(|tags| {
        tags.split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
    })
}

fn empty(status: StatusCode) -> Response {
    let mut response = status.into_response();
    response.extensions_mut().insert(envelope::Rendered);
    response
}

/// A foreign error (an extractor of axum's) in our form; anything else as it is.
pub(crate) fn enveloped(response: Response) -> Response {
    let status = response.status();
    let ours = response.extensions().get::<envelope::Rendered>().is_some();
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let code = match status.as_u16() {
        401 => codes::UNAUTHENTICATED,
        403 => codes::FORBIDDEN,
        404 => codes::ROUTE_NOT_FOUND,
        405 => codes::METHOD_NOT_ALLOWED,
        406 => codes::NOT_ACCEPTABLE,
        408 => codes::REQUEST_TIMEOUT,
        413 => codes::PAYLOAD_TOO_LARGE,
        414 => codes::URI_TOO_LONG,
        415 => codes::UNSUPPORTED_MEDIA_TYPE,
        422 => codes::VALIDATION_FAILED,
        429 => codes::RATE_LIMITED,
        431 => codes::HEADERS_TOO_LARGE,
        503 => codes::UNAVAILABLE,
        504 => codes::DEADLINE_EXCEEDED,
        400..500 => codes::BAD_REQUEST,
        _ => codes::INTERNAL,
    };
    let mut rendered = code.problem().into_response();
    for name in [header::ALLOW, header::WWW_AUTHENTICATE, header::RETRY_AFTER] {
        if let Some(value) = response.headers().get(&name) {
            rendered.headers_mut().insert(name, value.clone());
        }
    }
    rendered
}
