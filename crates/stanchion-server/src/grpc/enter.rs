use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::hash::BuildHasherDefault;
use std::mem::take;
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use http::Version;
use tokio::time::Instant;
use tonic::Code;
use tower::Service;

use super::{Method, Trusted, cut, detailed, outcome, timeout};
use crate::admission::{Lane, awaited, is_always_open};
use crate::context::{Context, ModuleParts};
use crate::net::peer;
use crate::present::{Present, Sought};
use crate::route::unasked;
use crate::service::Authenticator;
use crate::timely::timely;
use crate::words::Words;
use crate::{Access, Problem, codes};

/// A service behind what stands before its methods: method, deadline, admission, caller.
#[derive(Clone)]
pub(crate) struct Entered {
    entrance: Arc<Entrance>,
    service: Inner,
}

/// A service that tonic generated: begins a call, which goes on when it is polled.
pub(crate) type Inner = Arc<Serve>;

type Serve = dyn Fn(Request) -> BoxFuture<'static, Result<Response, Infallible>> + Send + Sync;

/// What stands before the methods of a service.
pub(crate) struct Entrance {
    pub(crate) service: &'static str,
    pub(crate) methods: BTreeMap<String, Entry>,
    pub(crate) module: Arc<ModuleParts>,
    pub(crate) authenticator: Authenticator,
    /// The longest a call of one message each way may take.
    pub(crate) timeout: Duration,
    /// The longest a stream may last.
    pub(crate) stream_timeout: Duration,
}

/// A method where it is mounted.
pub(crate) struct Entry {
    pub(crate) method: Method,
    /// The whole path.
    pub(crate) endpoint: Arc<str>,
    /// Where its calls are let in.
    pub(crate) lane: Lane,
}

/// The services by their names, for calls that need no router to find them.
#[derive(Clone, Default)]
pub(crate) struct Services(pub(crate) HashMap<&'static str, Entered, BuildHasherDefault<Words>>);

impl Services {
    /// The service that a call is for.
    pub(crate) fn of(&self, request: &Request, present: Present) -> Option<&Entered> {
        if self.0.is_empty() || !present.has(Sought::Grpc) {
            return None;
        }
        let path = request.uri().path();
        let (service, method) = path.strip_prefix('/')?.rsplit_once('/')?;
        self.0.get(service).filter(|_| !method.is_empty())
    }
}

impl Service<Request> for Entered {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let entered = self.clone();
        let context = request.extensions().get::<Arc<Context>>().cloned();
        Box::pin(async move {
            Ok(match context {
                Some(context) => entered.answer(&mut request, &context).await,
                None => Problem::internal("a call outside its service").into_response(),
            })
        })
    }
}

impl Entered {
    pub(crate) fn new(entrance: Entrance, service: Inner) -> Self {
        let entrance = Arc::new(entrance);
        Self { entrance, service }
    }

    /// Takes the request.
    pub(crate) async fn answer(&self, request: &mut Request, context: &Arc<Context>) -> Response {
        match self.entrance.admit(request, context, &*self.service).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        }
    }
}

/// A refusal in the head; those behind messages get theirs from [`Call`](super::Call).
fn with_details(mut response: Response) -> Response {
    detailed(response.headers_mut());
    response
}

/// Nothing of a guarded object leaves unless policies were asked about it; for what is replayed they were.
fn decided(response: Response, access: Access, context: &Context) -> Result<Response, Problem> {
    if !context.is_unasked(access) {
        return Ok(response);
    }
    let refused = outcome(response.headers()).is_some_and(|code| code != Code::Ok);
    let replayed = response.headers().contains_key("idempotent-replayed");
    if refused || replayed {
        return Ok(response);
    }
    Err(unasked(access))
}

/// A stream waits more than it works: it is counted with those, and gives its place of work back.
async fn stream(
    method: Method,
    answer: impl Future<Output = Result<Response, Infallible>>,
    context: &Context,
) -> Result<Response, Problem> {
    // Whoever is let in unasked has places of its own.
    let waiting = if method.access == Some(Access::Public) {
        context.begin_public_stream()
    } else {
        context.begin_waiting()
    };
    let waiting = waiting.ok_or_else(|| codes::OVERLOADED.problem())?;
    let mut response = tokio::select! {
        Ok(response) = answer => response,
        problem = cut(context) => return Err(problem),
    };
    response.extensions_mut().insert(Arc::new(waiting));
    Ok(with_details(response))
}

impl Entrance {
    async fn admit(
        &self,
        request: &mut Request,
        context: &Arc<Context>,
        next: &Serve,
    ) -> Result<Response, Problem> {
        if !context.accept.grpc {
            let taken = ["application/grpc"];
            return Err(codes::UNSUPPORTED_MEDIA_TYPE.with("content_types", taken));
        }
        // Below HTTP/2 the status behind the messages is lost. A call within the process has no peer.
        let has_trailers = request.version() >= Version::HTTP_2;
        if !has_trailers && peer(request.extensions()).is_some() {
            return Err(codes::BAD_REQUEST.with("reason", "gRPC goes over HTTP/2"));
        }
        let called = request.uri().path().rsplit('/').next().unwrap_or_default();
        let Some(entry) = self.methods.get(called) else {
            return Err(codes::ROUTE_NOT_FOUND
                .problem()
                .message(format!("{} has no method {called:?}.", self.service)));
        };
        let method = entry.method;
        let _ = context.endpoint.set(Arc::clone(&entry.endpoint));
        let _ = context.module.set(Arc::clone(&self.module));
        let deadline = self.deadline(request, method, context)?;
        let late = |_| codes::DEADLINE_EXCEEDED.problem();
        let admission = &context.lent.admission;
        // Who asks after our health without saying who it is gets an answer, however much there is to do.
        let is_open = method.access == Some(Access::Public) && is_always_open(request.uri().path());
        let working = if is_open {
            None
        } else {
            let admitted = admission.admit(&entry.lane, request.headers(), context);
            Some(admitted.await?)
        };
        let access = method.access.unwrap_or(Access::Permission("unstated"));
        if let Some(Trusted(principal)) = request.extensions().get() {
            Authenticator::let_in(access, principal.clone(), context).await?;
        } else if access != Access::Public {
            let headers = request.headers();
            let admitted = self.authenticator.admit(access, headers, context);
            timely(deadline, pin!(admitted)).await.map_err(late)??;
        }
        let request = take(request);
        // Who was let in without a place has none to give back.
        let answer = next(if is_open {
            request
        } else {
            awaited(request, context)
        });
        if method.streams {
            // In a box: what a stream waits for must not make every call's future large.
            let answered = Box::pin(stream(method, answer, context)).await?;
            return decided(answered, access, context);
        }
        let answered = timely(deadline, pin!(answer)).await;
        let answered = answered.map(|Ok(response)| with_details(response));
        let response = answered.map_err(late);
        let response = response.unwrap_or_else(Problem::into_response);
        if let Some(working) = working {
            working.answered(&response);
        }
        decided(response, access, context)
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
        let requested = context.present.has(Sought::GrpcTimeout);
        let requested = requested.then(|| timeout::requested(request.headers()));
        let requested = requested.transpose()?.flatten();
        let deadline = context.started + requested.map_or(longest, |time| time.min(longest));
        let _ = context.deadline.set(deadline);
        Ok(deadline)
    }
}
