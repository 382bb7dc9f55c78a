//! Admission to somebody's own router, whose routes are known when they are asked for.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{self, Poll};

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use axum::routing::future::RouteFuture;
use futures_util::future::{BoxFuture, Either};
use tower::{Layer, Service};

use super::{Lanes, awaited, is_always_open};
use crate::context::Context;
use crate::grpc;
use crate::service::set_endpoint;

/// Stands before each route of a router: tells which one was taken, and lets its requests in. Whoever asks the router has
/// the request's [`Working`](super::Working).
///
/// A layer of our own: axum's layers of functions would put two more futures in boxes for each request.
#[derive(Clone)]
pub(crate) struct AdmitForeign(pub(crate) Lanes);

/// A route behind admission.
#[derive(Clone)]
pub(crate) struct Admitting {
    lanes: Lanes,
    route: Route,
}

impl Layer<Route> for AdmitForeign {
    type Service = Admitting;

    fn layer(&self, route: Route) -> Admitting {
        Admitting {
            lanes: self.0.clone(),
            route,
        }
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
        let Some(context) = request.extensions().get::<Arc<Context>>().cloned() else {
            return Either::Left(self.route.call(request));
        };
        let matched = request.extensions().get::<MatchedPath>();
        let matched = matched.map(MatchedPath::as_str);
        // By the route, which is somebody's: a catch-all must not be open for what is only called like health.
        let is_open = matched.is_some_and(is_always_open);
        if is_open || context.accept.grpc {
            set_endpoint(&request);
        }
        if is_open {
            return Either::Left(self.route.call(request));
        }
        if context.accept.grpc {
            return Either::Right(self.admit_call(request, context));
        }
        let lane = match matched.map(|route| self.lanes.learn(route)) {
            Some((lane, endpoint)) => {
                let _ = context.endpoint.set(endpoint);
                lane
            }
            None => self.lanes.others(),
        };
        let asked = lane.asked(request.headers());
        let admission = Arc::clone(&context.lent.admission);
        let is_in = admission.enter_at_once(&lane, asked, &context);
        // Begun when it is polled.
        let answer = self.route.call(awaited(request, &context));
        if is_in {
            return Either::Left(answer);
        }
        Either::Right(Box::pin(async move {
            match admission.enter(&lane, asked, &context).await {
                Ok(()) => answer.await,
                Err(problem) => Ok(problem.into_response()),
            }
        }))
    }
}

impl Admitting {
    /// A call's route may be one for all methods; which of them there are is seen by the answer.
    fn admit_call(
        &mut self,
        request: Request,
        context: Arc<Context>,
    ) -> BoxFuture<'static, Result<Response, Infallible>> {
        let path = request.uri().path().to_owned();
        let lane = self.lanes.of(&path);
        let asked = lane.asked(request.headers());
        let lanes = self.lanes.clone();
        let answer = self.route.call(awaited(request, &context));
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
