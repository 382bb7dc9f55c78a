//! gRPC on the public port, through tonic's own client: same stack, access, deadlines, problems and stop as REST.

mod ends;
mod held;
mod malformed;
mod own;
mod shed;
mod stated;

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use http::{HeaderName, HeaderValue};
use stanchion_server::*;
use stanchion_telemetry::Metrics;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code as Grpced, Request, Response, Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{FILE_DESCRIPTOR_SET, HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt;

use super::shop::{ChangeThings, NAME_TAKEN, SeeThings, THING_NOT_FOUND, Tokens, settings};

/// A service that does what the message asks for; the health service's types are those at hand.
struct Scripted;

#[tonic::async_trait]
impl Health for Scripted {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let problem = match request.get_ref().service.as_str() {
            "sleep" => std::future::pending().await,
            "panic" => panic!("canary-secret"),
            "taken" => NAME_TAKEN.with("name", "one"),
            "replayed" => {
                let (name, value) = ("idempotent-replayed", "true");
                let (name, value) = (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                );
                NAME_TAKEN.problem().header(name, value)
            }
            "missing" => THING_NOT_FOUND.with("thing_id", 7),
            "wrong" => Problem::invalid_field("items[0].sku", "is not known"),
            "stale" => codes::VERSION_CONFLICT.problem(),
            "away" => Problem::unavailable("the canary-secret host is away"),
            "broken" => Problem::internal("the canary-secret database is on fire"),
            _ => return respond(Ok(said(ServingStatus::Serving))),
        };
        respond(Err(problem))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// For the writer: one message, then silence; two and the end for whoever asks for `short`, a panic for `panic`.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let _writer = access::<Authorized<ChangeThings>>()?;
        let first = stream::iter([Ok(said(ServingStatus::Serving))]);
        let rest: Self::WatchStream = match request.get_ref().service.as_str() {
            "short" => Box::pin(stream::iter([Ok(said(ServingStatus::NotServing))])),
            "panic" => Box::pin(stream::once(async {
                // Or the first message is lost with it, which is not yet sent.
                tokio::time::sleep(Duration::from_millis(20)).await;
                panic!("canary-secret")
            })),
            _ => Box::pin(stream::pending()),
        };
        Ok(Response::new(Box::pin(first.chain(rest))))
    }
}

fn said(status: ServingStatus) -> HealthCheckResponse {
    let status = status as i32;
    HealthCheckResponse { status }
}

fn scripted() -> Grpc {
    Grpc::new(HealthServer::new(Scripted), FILE_DESCRIPTOR_SET)
        .allow::<Authorized<SeeThings>>("Check")
        .allow::<Authorized<ChangeThings>>("Watch")
}

/// The same with this access to both methods.
pub(super) fn scripted_for<A: StatesAccess>() -> Module {
    let grpc = Grpc::new(HealthServer::new(Scripted), FILE_DESCRIPTOR_SET)
        .allow::<A>("Check")
        .allow::<A>("Watch");
    Module::new("scripted").grpc(grpc)
}

pub(super) async fn client(running: &Running) -> HealthClient<Channel> {
    HealthClient::new(channel(running).await)
}

fn service(settings: ServerSettings) -> Service {
    Service::new(settings)
        .tokens(std::sync::Arc::new(Tokens))
        .mount(Module::new("scripted").grpc(scripted()))
}

struct Ours {
    running: Running,
    client: HealthClient<Channel>,
    metrics: Metrics,
}

impl Ours {
    async fn start(settings: ServerSettings) -> Self {
        let metrics = Metrics::default();
        let service = service(settings).metrics(metrics.clone());
        let running = service.start().await.unwrap();
        let client = HealthClient::new(channel(&running).await);
        Self {
            running,
            client,
            metrics,
        }
    }

    async fn check(&mut self, what: &str) -> Result<(), Status> {
        let asked = self.client.check(asking("reader", what)).await;
        asked.map(drop)
    }

    async fn watch(
        &mut self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Streaming<HealthCheckResponse>, Status> {
        self.client.watch(request).await.map(Response::into_inner)
    }
}

async fn channel(running: &Running) -> Channel {
    let address: SocketAddr = running.addresses().public.unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

pub(super) fn asking(token: &str, what: &str) -> Request<HealthCheckRequest> {
    let service = what.to_owned();
    let mut request = Request::new(HealthCheckRequest { service });
    let bearer = MetadataValue::try_from(format!("Bearer {token}")).unwrap();
    request.metadata_mut().insert("authorization", bearer);
    request
}

#[tokio::test]
async fn a_call_is_answered_counted_and_named() {
    let mut ours = Ours::start(settings()).await;
    let answered = ours.client.check(asking("reader", "")).await.unwrap();
    assert!(answered.metadata().contains_key("x-request-id"));
    let of_browsers = answered.metadata().get("content-security-policy");
    assert!(of_browsers.is_none(), "no browser shows it");
    let mut stream = ours.watch(asking("writer", "short")).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
    assert!(stream.message().await.unwrap().is_some());
    assert!(stream.message().await.unwrap().is_none());
    let shown = ours.metrics.encode();
    for line in [
        r#"grpc_requests_total{method="Check",endpoint="/grpc.health.v1.Health/Check",status="OK"} 1"#,
        r#"grpc_requests_total{method="Watch",endpoint="/grpc.health.v1.Health/Watch",status="OK"} 1"#,
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    assert!(!shown.contains("http_requests_total{"), "{shown}");
    let timed = |method: &str| format!(r#"grpc_request_duration_seconds_count{{method="{method}""#);
    assert!(shown.contains(&timed("Check")), "{shown}");
    assert!(!shown.contains(&timed("Watch")), "{shown}");
}

#[tokio::test]
async fn a_problem_becomes_a_status_with_its_details() {
    let mut ours = Ours::start(settings()).await;
    for (what, code, reason) in [
        ("missing", Grpced::NotFound, "THING_NOT_FOUND"),
        ("taken", Grpced::FailedPrecondition, "NAME_TAKEN"),
        ("wrong", Grpced::InvalidArgument, "VALIDATION_FAILED"),
        ("stale", Grpced::Aborted, "VERSION_CONFLICT"),
        ("away", Grpced::Unavailable, "UNAVAILABLE"),
        ("broken", Grpced::Internal, "INTERNAL"),
        ("panic", Grpced::Internal, "INTERNAL"),
    ] {
        let status = ours.check(what).await.unwrap_err();
        let info = status.get_details_error_info().unwrap();
        assert_eq!(
            (status.code(), info.reason.as_str()),
            (code, reason),
            "{what}"
        );
        assert!(!format!("{status:?}").contains("canary"), "{status:?}");
        match what {
            "missing" => assert_eq!(info.metadata["thing_id"], "7"),
            "wrong" => {
                let violations = status.get_details_bad_request().unwrap().field_violations;
                let only = (
                    violations[0].field.as_str(),
                    violations[0].description.as_str(),
                );
                assert_eq!(only, ("items[0].sku", "is not known"));
            }
            "away" => {
                let wait = status.get_details_retry_info().unwrap().retry_delay;
                assert!(wait.is_some_and(|wait| wait >= Duration::from_secs(1)));
            }
            _ => {}
        }
    }
    const THERE: Code = Code::exists("NAME_TAKEN", "There is a thing of that name.");
    assert_eq!(Status::from(THERE.problem()).code(), Grpced::AlreadyExists);
    // Each on the connection that the panic was on.
    assert!(ours.check("").await.is_ok());
}

#[tokio::test]
async fn what_a_problem_has_in_headers_is_metadata() {
    let mut ours = Ours::start(settings()).await;
    let status = ours.check("replayed").await.unwrap_err();
    assert_eq!(
        status.metadata().get("idempotent-replayed").unwrap(),
        "true"
    );
    let status = ours.check("away").await.unwrap_err();
    assert!(!status.metadata().contains_key("retry-after"), "{status:?}");
}

#[tokio::test]
async fn only_who_a_method_allows_is_let_in() {
    let mut ours = Ours::start(settings()).await;
    let mut code = async |request| {
        ours.client
            .check(request)
            .await
            .map_err(|status| status.code())
    };
    assert!(code(asking("reader", "")).await.is_ok());
    assert_eq!(
        code(asking("writer", "")).await.unwrap_err(),
        Grpced::PermissionDenied
    );
    assert_eq!(
        code(asking("nobody", "")).await.unwrap_err(),
        Grpced::Unauthenticated
    );
    assert_eq!(
        code(asking("broken", "")).await.unwrap_err(),
        Grpced::Unavailable
    );
    let bare = Request::new(HealthCheckRequest::default());
    assert_eq!(code(bare).await.unwrap_err(), Grpced::Unauthenticated);
}

#[test]
#[should_panic(expected = "/grpc.health.v1.Health/Watch states no access")]
fn a_service_with_a_method_for_nobody_in_particular_does_not_start() {
    let half = Grpc::new(HealthServer::new(Scripted), FILE_DESCRIPTOR_SET).allow::<Anyone>("Check");
    let service = Service::new(settings()).mount(Module::new("half").grpc(half));
    drop(service.into_router());
}
