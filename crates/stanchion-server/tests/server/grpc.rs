//! gRPC on the public port, through tonic's own client: same stack, access, deadlines, problems and stop as REST.

mod held;
mod malformed;
mod stated;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use http::{HeaderName, HeaderValue};
use stanchion_runtime::task;
use stanchion_server::*;
use stanchion_telemetry::Metrics;
use tokio::time::{Instant, timeout};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code as Grpced, Request, Response, Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{FILE_DESCRIPTOR_SET, HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ListServiceResponse, ServerReflectionRequest};
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

#[tokio::test]
async fn a_call_ends_at_its_deadline_whoever_set_it() {
    let quick = ServerSettings {
        grpc_timeout: Duration::from_millis(300),
        ..settings()
    };
    let mut ours = Ours::start(quick).await;
    let began = Instant::now();
    let status = ours.check("sleep").await.unwrap_err();
    assert_eq!(status.code(), Grpced::DeadlineExceeded);
    assert!(
        (250..1_500).contains(&began.elapsed().as_millis()),
        "{:?}",
        began.elapsed()
    );

    // By hand: tonic's client would not wait for our word.
    let api = super::api::Api(service(settings()).into_router().unwrap());
    let message = b"\0\0\0\0\x07\x0a\x05sleep";
    for (value, status) in [("50m", "4"), ("soon", "3"), ("1.5S", "3"), ("0n", "4")] {
        let headers = [
            ("content-type", "application/grpc"),
            ("authorization", "Bearer reader"),
            ("grpc-timeout", value),
        ];
        let began = Instant::now();
        let path = "POST //grpc.health.v1.Health/Check";
        let got = api.send(path, &headers, message.to_vec()).await;
        assert_eq!(got.headers["grpc-status"], status, "{value}");
        assert!(began.elapsed() < Duration::from_millis(250), "{value}");
    }
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline_in_the_words_of_grpc() {
    let mut ours = Ours::start(settings()).await;
    let mut request = asking("writer", "");
    let value = MetadataValue::from_static("200m");
    request.metadata_mut().insert("grpc-timeout", value);
    let mut stream = ours.watch(request).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
    let ended = timeout(Duration::from_secs(5), stream.message()).await;
    let status = ended.unwrap().unwrap_err();
    assert_eq!(status.code(), Grpced::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn a_stop_ends_streams_with_unavailable_and_finishes_calls() {
    let mut ours = Ours::start(settings()).await;
    let mut stream = ours.watch(asking("writer", "")).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
    ours.running.stop();
    let ended = timeout(Duration::from_secs(15), stream.message()).await;
    let status = ended.unwrap().unwrap_err();
    assert_eq!(status.code(), Grpced::Unavailable, "{status:?}");
    drop(stream);
    let stopped = timeout(Duration::from_secs(15), ours.running.stopped()).await;
    assert!(matches!(stopped.unwrap(), Stopped::Clean));
}

#[tokio::test]
async fn what_is_shed_is_unavailable_and_says_when_to_come_back() {
    let tiny = ServerSettings {
        in_flight_max: 1,
        waiting_max: 1,
        ..settings()
    };
    let mut ours = Ours::start(tiny).await;
    let mut sleeper = ours.client.clone();
    let slept = task::spawn("sleeper", async move {
        sleeper.check(asking("reader", "sleep")).await
    });
    let status = loop {
        match ours.check("").await {
            Ok(()) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Grpced::Unavailable);
    assert!(status.get_details_retry_info().is_some(), "{status:?}");
    slept.abort();

    // A stream holds a place among those that wait, for as long as it lasts.
    let mut first = loop {
        match ours.watch(asking("writer", "")).await {
            Ok(stream) => break stream,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert!(first.message().await.unwrap().is_some());
    let second = ours.watch(asking("writer", "")).await;
    assert_eq!(second.unwrap_err().code(), Grpced::Unavailable);
    drop(first);
    let began = Instant::now();
    while ours.watch(asking("writer", "short")).await.is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the place was not given back"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let mut counted = settings();
    counted.admission.caller_rate_on = true;
    counted.admission.caller_rate.per_second = 0.5;
    counted.admission.caller_rate.burst = 1;
    let mut ours = Ours::start(counted).await;
    ours.check("").await.unwrap();
    let status = ours.check("").await.unwrap_err();
    assert_eq!(status.code(), Grpced::ResourceExhausted, "{status:?}");
    let wait = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(wait, Some(Duration::from_secs(2)));
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "RATE_LIMITED");
}

#[tokio::test]
async fn what_is_not_there_is_unimplemented_and_plain_http_is_told_the_type() {
    let ours = Ours::start(settings()).await;
    let mut other =
        tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient::new(
            channel(&ours.running).await,
        );
    let asked = other.server_reflection_info(stream::pending()).await;
    assert_eq!(asked.unwrap_err().code(), Grpced::Unimplemented);
    let api = super::api::Api(service(settings()).into_router().unwrap());
    let path = "POST //grpc.health.v1.Health/Check";
    let got = api
        .send(path, &[("content-type", "application/json")], "{}")
        .await;
    assert_eq!(got.status, 415, "{}", got.text);
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    let got = api
        .send("POST //grpc.health.v1.Health/Nothing", &grpc, "")
        .await;
    assert_eq!(
        (got.status, &got.headers["grpc-status"]),
        (200, &"12".parse().unwrap())
    );
}

#[tokio::test]
async fn reflection_lists_every_service() {
    let ours = Ours::start(settings()).await;
    let mut client = ServerReflectionClient::new(channel(&ours.running).await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = client.server_reflection_info(stream::iter([request])).await;
    let answer = asked.unwrap().into_inner().next().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(ListServiceResponse { service })) =
        answer.message_response
    else {
        panic!("{answer:?}");
    };
    let names: BTreeSet<_> = service.iter().map(|one| one.name.as_str()).collect();
    let wanted = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ];
    assert_eq!(names, BTreeSet::from(wanted));
}

#[tokio::test]
async fn health_says_what_ready_says() {
    let failing = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = failing.clone();
    let own = tonic_reflection::server::Builder::configure()
        .build_v1alpha()
        .unwrap();
    let grpc = Grpc::new(own, tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
        .allow::<Anyone>("ServerReflectionInfo");
    let module = Module::new("own").grpc(grpc).ready_when("store", move || {
        let fails = seen.load(std::sync::atomic::Ordering::Relaxed);
        async move {
            if fails {
                Err("it is out".to_owned())
            } else {
                Ok(())
            }
        }
    });
    let running = Service::new(settings())
        .mount(module)
        .start()
        .await
        .unwrap();
    let mut client = HealthClient::new(channel(&running).await);
    let mut watcher = client.clone();
    let name = "grpc.reflection.v1alpha.ServerReflection";
    let mut until = async |wanted: ServingStatus, of: &str| {
        let began = Instant::now();
        loop {
            let service = of.to_owned();
            let asked = client.check(HealthCheckRequest { service }).await;
            let status = asked.map(|answer| answer.into_inner().status);
            if status.as_ref().is_ok_and(|status| *status == wanted as i32) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(5), "{of}: {status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until(ServingStatus::Serving, "").await;
    until(ServingStatus::Serving, name).await;
    let asked = watcher.watch(HealthCheckRequest::default()).await;
    let mut told = asked.unwrap().into_inner();
    assert!(told.message().await.unwrap().is_some());
    let again = timeout(Duration::from_millis(2_200), told.message()).await;
    assert!(again.is_err(), "told again, and nothing is new: {again:?}");
    failing.store(true, std::sync::atomic::Ordering::Relaxed);
    until(ServingStatus::NotServing, "").await;
    until(ServingStatus::NotServing, name).await;
}
