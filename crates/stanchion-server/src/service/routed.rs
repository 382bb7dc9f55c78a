//! Where requests end: the service's own routes, those of modules, somebody's own routers.

use std::convert::Infallible;
use std::mem::take;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use http_body::Body as _;
use tokio::time::Instant;
use tower::Service;
use tower::util::MapRequestLayer;

use super::ServerSettings;
use super::docs::is_document;
use super::health::is_health;
use crate::admission::Working;
use crate::answer::lasting_events;
use crate::codes;
use crate::context::Context;
use crate::grpc::Services;
use crate::present::{Present, Sought};
use crate::route::enveloped;
use crate::timely::timely;

/// All routes of a service. A router is asked only for what may be its own: each costs what a layer costs.
pub(crate) struct Routed {
    /// Health and documents; what they do not know goes to the others.
    own: Router,
    /// For calls; whatever else is for a service's path, the others know.
    services: Services,
    others: Outlet,
}

/// The routes of modules.
#[derive(Clone)]
pub(crate) enum Outlet {
    /// Described routes and gRPC; what they do not know goes to somebody's own routers, if there are any.
    Described(Router),
    /// Somebody's own routers alone.
    Foreign(Foreign),
}

/// Somebody's own routers within our deadline and body limit; their answers stay what they are.
#[derive(Clone)]
pub(crate) struct Foreign {
    router: Router,
    body_bytes_max: usize,
    /// The longest until the head of an answer.
    request: Duration,
    /// The longest until the last message of a gRPC call: whether it is a stream, only its maker knows.
    stream: Duration,
}

impl Routed {
    pub(crate) fn of(own: Router, services: Services, others: Outlet) -> Self {
        let own = recording(own);
        let own = match others.clone() {
            Outlet::Described(router) => own.fallback_service(router),
            Outlet::Foreign(foreign) => own.fallback_service(foreign),
        };
        let own = ready(own);
        Self {
            own,
            services,
            others,
        }
    }

    /// Takes the request.
    pub(crate) async fn answer(&self, request: &mut Request, context: &Arc<Context>) -> Response {
        let path = request.uri().path();
        if is_health(path) || is_document(path) {
            return answered(&self.own, request).await;
        }
        if let Some(service) = self.services.of(request, context.present) {
            return service.answer(request, context).await;
        }
        match &self.others {
            Outlet::Described(router) => answered(router, request).await,
            Outlet::Foreign(foreign) => foreign.answer(request, Some(context)).await,
        }
    }
}

impl Foreign {
    pub(crate) fn new(router: Router, settings: &ServerSettings) -> Self {
        Self {
            router: ready(router),
            body_bytes_max: settings.body_bytes_max.as_usize(),
            request: settings.request_timeout,
            stream: settings.grpc_stream_timeout,
        }
    }

    async fn answer(&self, request: &mut Request, context: Option<&Context>) -> Response {
        // What has no body needs no limit.
        if !request.body().is_end_stream() {
            DefaultBodyLimit::max(self.body_bytes_max).apply(request);
        }
        let is_call = context.is_some_and(|context| context.accept.grpc);
        let present = context.map_or_else(|| Present::of(request.headers()), |of| of.present);
        let (requested, longest) = if is_call {
            let requested = present.has(Sought::GrpcTimeout);
            let requested = requested.then(|| crate::grpc::requested_timeout(request.headers()));
            (requested, self.stream)
        } else {
            let requested = present.has(Sought::RequestTimeout);
            let requested = requested.then(|| crate::extract::requested_timeout(request.headers()));
            (requested, self.request)
        };
        let requested = match requested.transpose() {
            Ok(requested) => requested.flatten().unwrap_or(Duration::MAX),
            Err(problem) => return problem.into_response(),
        };
        let now = context.map_or_else(Instant::now, |context| context.started);
        // Its routes let it in; dropped unanswered, it is given up.
        let working = context.map(Working::of);
        if let Some(context) = context {
            // The messages of a gRPC call end with it, and come after the head.
            let _ = context.deadline.set(now + requested.min(longest));
        }
        let head = now + requested.min(self.request);
        // Pinned here: what is handed to an async function is kept there twice.
        let answered = timely(head, pin!(answered(&self.router, request))).await;
        let Ok(response) = answered else {
            return codes::DEADLINE_EXCEEDED.problem().into_response();
        };
        if let Some(working) = working {
            working.answered(&response);
        }
        if is_bare(&response) {
            return enveloped(response);
        }
        match context {
            Some(context) => lasting_events(response, context),
            None => response,
        }
    }
}

impl Service<Request> for Foreign {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let foreign = self.clone();
        let context = request.extensions().get::<Arc<Context>>().cloned();
        Box::pin(async move { Ok(foreign.answer(&mut request, context.as_deref()).await) })
    }
}

/// The router with its routes made: until it is given its state, axum makes a route anew for each request.
pub(crate) fn ready(router: Router) -> Router {
    router.with_state(())
}

async fn answered(router: &Router, request: &mut Request) -> Response {
    let Ok(response) = router.clone().call(take(request)).await;
    response
}

/// A router that tells which of its routes was taken.
fn recording(router: Router) -> Router {
    if !router.has_routes() {
        return router;
    }
    router.route_layer(MapRequestLayer::new(|request: Request| {
        set_endpoint(&request);
        request
    }))
}

/// What axum itself answers when no route fits: it has no body and no type.
fn is_bare(response: &Response) -> bool {
    matches!(response.status().as_u16(), 404 | 405)
        && !response.headers().contains_key(http::header::CONTENT_TYPE)
}

pub(crate) fn set_endpoint(request: &Request) {
    let context = request.extensions().get::<Arc<Context>>();
    let matched = request.extensions().get::<MatchedPath>();
    if let (Some(context), Some(matched)) = (context, matched) {
        let _ = context.endpoint.set(matched.as_str().into());
    }
}
