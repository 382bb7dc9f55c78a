use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Version;
use tokio::time::{Instant, timeout_at};

use super::{Method, Trusted, cut, detailed, is_grpc, timeout};
use crate::admission::{Lane, awaited, is_always_open};
use crate::context::{Context, ModuleParts};
use crate::net::Peer;
use crate::service::Authenticator;
use crate::{Access, Problem, codes};

/// What stands before the methods of a service.
pub(crate) struct Entrance {
    pub(crate) service: &'static str,
    pub(crate) methods: BTreeMap<String, Method>,
    /// Where calls are let in, by method.
    pub(crate) lanes: BTreeMap<String, Lane>,
    pub(crate) module: Arc<ModuleParts>,
    pub(crate) authenticator: Authenticator,
    /// The longest a call of one message each way may take.
    pub(crate) timeout: Duration,
    /// The longest a stream may last.
    pub(crate) stream_timeout: Duration,
}

/// Method, deadline, caller; then the service itself.
pub(crate) async fn enter(
    State(entrance): State<Arc<Entrance>>,
    request: Request,
    next: Next,
) -> Response {
    match entrance.admit(request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

/// A refusal in the head; those behind messages get theirs from [`Call`](super::Call).
fn with_details(mut response: Response) -> Response {
    detailed(response.headers_mut());
    response
}

impl Entrance {
    async fn admit(&self, request: Request, next: Next) -> Result<Response, Problem> {
        if !is_grpc(request.headers()) {
            let taken = ["application/grpc"];
            return Err(codes::UNSUPPORTED_MEDIA_TYPE.with("content_types", taken));
        }
        // Below HTTP/2 the status behind the messages is lost. A call within the process has no peer.
        let has_trailers = request.version() >= Version::HTTP_2;
        if !has_trailers && request.extensions().get::<Peer>().is_some() {
            return Err(codes::BAD_REQUEST.with("reason", "gRPC goes over HTTP/2"));
        }
        let context = request.extensions().get::<Arc<Context>>().cloned();
        let context = context.ok_or_else(|| Problem::internal("a call outside its service"))?;
        let called = request.uri().path().rsplit('/').next().unwrap_or_default();
        let Some((name, method)) = self.methods.get_key_value(called) else {
            return Err(codes::ROUTE_NOT_FOUND
                .problem()
                .message(format!("{} has no method {called:?}.", self.service)));
        };
        let endpoint = format!("/{}/{name}", self.service);
        let _ = context.endpoint.set(endpoint.into());
        let _ = context.module.set(Arc::clone(&self.module));
        let deadline = self.deadline(&request, *method, &context)?;
        let late = |_| codes::DEADLINE_EXCEEDED.problem();
        let admission = Arc::clone(&context.lent.admission);
        // Who asks after our health without saying who it is gets an answer, however much there is to do.
        let is_open = method.access == Some(Access::Public) && is_always_open(request.uri().path());
        let working = match self.lanes.get(called).filter(|_| !is_open) {
            Some(lane) => Some(admission.admit(lane, request.headers(), &context).await?),
            None => None,
        };
        let request = awaited(request, &context);
        let access = method.access.unwrap_or(Access::Permission("unstated"));
        if let Some(Trusted(principal)) = request.extensions().get() {
            Authenticator::let_in(access, principal.clone(), &context)?;
        } else {
            let headers = request.headers();
            let admitted = self.authenticator.admit(access, headers, &context);
            timeout_at(deadline, admitted).await.map_err(late)??;
        }
        if !method.streams {
            let answered = timeout_at(deadline, next.run(request)).await;
            let answered = answered.map(with_details).map_err(late);
            let response = answered.unwrap_or_else(Problem::into_response);
            if let Some(working) = working {
                working.answered(&response);
            }
            return Ok(response);
        }
        // A stream waits more than it works: it is counted with those, and gives its place of work back.
        // Whoever is let in unasked has places of its own.
        let waiting = if method.access == Some(Access::Public) {
            context.begin_public_stream()
        } else {
            context.begin_waiting()
        };
        let waiting = waiting.ok_or_else(|| codes::OVERLOADED.problem())?;
        let mut response = tokio::select! {
            response = next.run(request) => response,
            problem = cut(&context) => return Err(problem),
        };
        response.extensions_mut().insert(Arc::new(waiting));
        Ok(with_details(response))
    }

    /// Never above our own, which for streams is another one.
    fn deadline(
        &self,
        request: &Request,
        method: Method,
        context: &Context,
    ) -> Result<Instant, Problem> {
        let longest = if method.streams {
            self.stream_timeout
        } else {
            self.timeout
        };
        let requested = timeout::requested(request.headers())?;
        let deadline = Instant::now() + requested.map_or(longest, |time| time.min(longest));
        let _ = context.deadline.set(deadline);
        Ok(deadline)
    }
}
