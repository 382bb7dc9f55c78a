//! What the servers in Rust have in common: the route that all languages answer, word for word.

use std::convert::Infallible;

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tonic::Status;
use tonic::codegen::{Body, BoxFuture, Context, Poll, Service, StdError, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{FILE_DESCRIPTOR_SET, HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;

/// The small answer.
#[derive(Debug, Serialize)]
pub struct Hello {
    id: String,
    message: String,
    number: u32,
}

/// `{"id":…,"message":"Hello, …!","number":42}`
pub fn hello(id: String) -> Hello {
    let message = format!("Hello, {id}!");
    Hello {
        id,
        message,
        number: 42,
    }
}

/// An ordinary axum application.
pub fn application() -> Router {
    Router::new().route("/hello/{id}", get(async |Path(id)| Json(hello(id))))
}

/// The first argument: the address to listen on.
///
/// # Panics
/// There is none.
pub fn address() -> String {
    std::env::args().nth(1).expect("usage: PROGRAM ADDRESS …")
}

/// The call that tonic and ours answer: as the health service's `Check`, but of a service that is none. That of health is let
/// in however much there is to do, and skips what other calls pass.
#[derive(Clone)]
pub struct Checks;

const CHECK: &str = "/bench.hello.v1.Health/Check";

impl NamedService for Checks {
    const NAME: &'static str = "bench.hello.v1.Health";
}

impl<B> Service<http::Request<B>> for Checks
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// As tonic generates it.
    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != CHECK {
                return Ok(Status::unimplemented("").into_http());
            }
            let mut grpc = Grpc::new(ProstCodec::default());
            Ok(grpc.unary(Check, request).await)
        })
    }
}

struct Check;

impl UnaryService<HealthCheckRequest> for Check {
    type Response = HealthCheckResponse;
    type Future = BoxFuture<tonic::Response<HealthCheckResponse>, Status>;

    fn call(&mut self, _: tonic::Request<HealthCheckRequest>) -> Self::Future {
        Box::pin(async {
            Ok(tonic::Response::new(HealthCheckResponse {
                status: ServingStatus::Serving.into(),
            }))
        })
    }
}

/// What the service of [`Checks`] consists of: health's, under another name of the same length.
#[must_use]
pub fn descriptors() -> &'static [u8] {
    let (before, now) = (b"grpc.health.v1", b"bench.hello.v1");
    let mut bytes = FILE_DESCRIPTOR_SET.to_vec();
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(before) {
            bytes[at..at + now.len()].copy_from_slice(now);
        }
    }
    bytes.leak()
}
