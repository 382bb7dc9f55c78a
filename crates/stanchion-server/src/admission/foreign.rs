//! Admission to somebody's own router, whose routes are known when they are asked for.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::task::{self, Poll};

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use axum::routing::future::RouteFuture;
use futures_util::future::{BoxFuture, Either};
use http_body::Body as _;
use parking_lot::Mutex;
use tower::{Layer, Service};

use super::{Lane, Lanes, awaited, is_always_open};
use crate::context::Context;
use crate::grpc;
use crate::service::set_endpoint;

/// Stands before each route of a router: tells which one was taken, and lets its requests in. Whoever asks the router has
/// the request's [`Working`](super::Working).
///
/// A layer of our own: axum's layers of functions would put two more futures in boxes for each request.
#[derive(Clone)]
pub(crate) struct AdmitForeign(pub(crate) Lanes);

/// A route behind admission. It is cloned for each request.
#[derive(Clone)]
pub(crate) struct Admitting(Arc<Known>);

/// What is known of a route.
struct Known {
    lanes: Lanes,
    /// Where it lets in what was matched to this template, which is always the same one but for routes that stand for
    /// several.
    first: OnceLock<Learned>,
    /// Asked when nobody else is just asking it: a route clones itself for each request, and needs no clone before that.
    kept: Mutex<Route>,
    /// The same, for all who would have to wait for it.
    route: Route,
}

/// Where a template's requests are let in, and the template itself.
type Learned = (Lane, Arc<str>);

impl Known {
    /// The lane of a route's template, and the template itself; none if nobody is to be let in there.
    fn of(&self, matched: &str) -> Option<Cow<'_, Learned>> {
        let is_first = |(_, template): &&Learned| **template == *matched;
        if let Some(first) = self.first.get().filter(is_first) {
            return Some(Cow::Borrowed(first));
        }
        // By the route, which is somebody's: a catch-all must not be open for what is only called like health.
        if is_always_open(matched) {
            return None;
        }
        let learned = self.lanes.learn(matched);
        let _ = self.first.set(learned.clone());
        Some(Cow::Owned(learned))
    }

    /// The route's answer, begun when it is polled.
    fn answer(&self, request: Request) -> RouteFuture<Infallible> {
        match self.kept.try_lock() {
            Some(mut route) => route.call(request),
            None => self.route.clone().call(request),
        }
    }

    /// A call's route may be one for all methods; which of them there are is seen by the answer.
    fn admit_call(
        &self,
        request: Request,
        context: Arc<Context>,
    ) -> BoxFuture<'static, Result<Response, Infallible>> {
        let path = request.uri().path().to_owned();
        let lanes = self.lanes.clone();
        let lane = lanes.of(&path);
        let asked = lane.asked(request.headers(), context.present);
        let answer = self.answer(awaited(request, &context));
        Box::pin(async move {
            let admission = &context.lent.admission;
            if let Err(problem) = admission.enter(&lane, asked, &context).await {
                return Ok(problem.into_response());
            }
            let response = answer.await?;
            // A router's own 404 is no call's answer: strangers must not use up the lanes.
            let answers = grpc::is_grpc(response.headers());
            let outcome = grpc::outcome(response.headers());
            if answers && outcome != Some(tonic::Code::Unimplemented) {
                lanes.learn(&path);
            }
            Ok(response)
        })
    }
}

impl Layer<Route> for AdmitForeign {
    type Service = Admitting;

    fn layer(&self, route: Route) -> Admitting {
        Admitting(Arc::new(Known {
            lanes: self.0.clone(),
            first: OnceLock::new(),
            kept: Mutex::new(route.clone()),
            route,
        }))
    }
}

impl Service<Request> for Admitting {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<RouteFuture<Infallible>, BoxFuture<'static, Result<Response, Infallible>>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let route = &*self.0;
        let Some(context) = request.extensions().get::<Arc<Context>>() else {
            return Either::Left(route.answer(request));
        };
        let matched = request.extensions().get::<MatchedPath>();
        if context.accept.grpc {
            set_endpoint(&request);
            let is_open = matched.is_some_and(|matched| is_always_open(matched.as_str()));
            if is_open {
                return Either::Left(route.answer(request));
            }
            let context = Arc::clone(context);
            return Either::Right(route.admit_call(request, context));
        }
        let known = matched.map(|matched| route.of(matched.as_str()));
        if let Some(None) = known {
            set_endpoint(&request);
            return Either::Left(route.answer(request));
        }
        let known = known.flatten();
        let lane = match known.as_deref() {
            Some((lane, endpoint)) => {
                let _ = context.endpoint.set(Arc::clone(endpoint));
                lane
            }
            None => route.lanes.others(),
        };
        let asked = lane.asked(request.headers(), context.present);
        let is_in = context.lent.admission.enter_at_once(lane, asked, context);
        if is_in && request.body().is_end_stream() {
            return Either::Left(route.answer(request));
        }
        let context = Arc::clone(context);
        let answer = route.answer(awaited(request, &context));
        if is_in {
            return Either::Left(answer);
        }
        let lane = lane.clone();
        Either::Right(Box::pin(async move {
            match context.lent.admission.enter(&lane, asked, &context).await {
                Ok(()) => answer.await,
                Err(problem) => Ok(problem.into_response()),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::any;
    use http::StatusCode;
    use stanchion_resilience::Priority;
    use tower::layer::layer_fn;
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::context::Lent;
    use crate::present::Present;

    /// One route for all methods, as tonic makes them.
    async fn methods(request: Request) -> Response {
        let status = match request.uri().path() {
            "/own.Service/Greet" => "0",
            "/own.Service/Refuse" => "7",
            "/own.Service/Invented" => "12",
            _ => return StatusCode::NOT_FOUND.into_response(),
        };
        let head = [
            ("content-type", "application/grpc"),
            ("grpc-status", status),
        ];
        head.into_response()
    }

    fn request(path: &str, kind: &str) -> Request {
        let request = http::Request::post(path).header("content-type", kind);
        let mut request = request.body(Body::empty()).unwrap();
        let present = Present::of(request.headers());
        let context = Context::new("r-1".into(), &request, Lent::alone(), None, present);
        request.extensions_mut().insert(Arc::new(context));
        request
    }

    async fn ask(router: &Router, path: &str, kind: &str) {
        let _ = router.clone().oneshot(request(path, kind)).await;
    }

    #[tokio::test]
    async fn nobody_waits_for_a_route_that_somebody_else_is_just_asking() {
        let layered = Arc::new(Mutex::new(Vec::new()));
        let keeping = Arc::clone(&layered);
        let layer = layer_fn(move |route: Route| {
            let admitting = AdmitForeign(Lanes::new(Priority::Normal)).layer(route);
            keeping.lock().push(admitting.clone());
            admitting
        });
        let answer = service_fn(|_: Request| async { Ok::<_, Infallible>(StatusCode::ACCEPTED) });
        let _router: Router = Router::new().route_service("/", answer).route_layer(layer);
        let mut routes = std::mem::take(&mut *layered.lock());
        assert_eq!(routes.len(), 1);
        for kind in ["text/plain", "application/grpc"] {
            let route = &mut routes[0];
            let answer = {
                let known = Arc::clone(&route.0);
                let _asked = known.kept.lock();
                route.call(request("/", kind))
            };
            let Ok(response) = answer.await;
            assert_eq!(response.status(), StatusCode::ACCEPTED, "{kind}");
            assert!(route.0.kept.try_lock().is_some(), "it is free again");
        }
    }

    #[tokio::test]
    async fn which_methods_there_are_is_learned_by_their_answers() {
        let lanes = Lanes::new(Priority::Normal);
        let route = Router::new().route("/own.Service/{*rest}", any(methods));
        let router = route.layer(AdmitForeign(lanes.clone()));
        for path in [
            "/own.Service/Invented",
            "/own.Service/Nowhere",
            "/own.Service/Greet",
            "/own.Service/Refuse",
            "/own.Service/Greet",
        ] {
            ask(&router, path, "application/grpc").await;
        }
        assert_eq!(lanes.known(), ["/own.Service/Greet", "/own.Service/Refuse"]);
    }

    #[tokio::test]
    async fn of_other_requests_the_template_is_the_lane_however_many_paths_are_tried() {
        let lanes = Lanes::new(Priority::Normal);
        let route = Router::new()
            .route("/greetings/{name}", any(methods))
            .route("/parts/{*rest}", any(methods));
        let router = route.layer(AdmitForeign(lanes.clone()));
        for number in 0..10 {
            ask(&router, &format!("/greetings/{number}"), "text/plain").await;
            ask(&router, &format!("/parts/{number}"), "text/plain").await;
            ask(&router, &format!("/nowhere/{number}"), "text/plain").await;
        }
        assert_eq!(lanes.known(), ["/greetings/{name}", "/parts/{*rest}"]);
    }
}
