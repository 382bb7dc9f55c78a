//! gRPC through tonic's generated health client: unary and streams, over the network and within the process.

mod undone;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderValue};
use http_body_util::StreamBody;
use stanchion_client::{ClientError, ClientSettings, Effect, GrpcChannel, Reason};
use stanchion_resilience::Refusal;
use stanchion_server::{Anyone, Grpc, Module, Running, ServerSettings, Service};
use stanchion_telemetry::Metrics;
use tokio::time::{Instant, timeout};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{FILE_DESCRIPTOR_SET, HealthCheckRequest, HealthCheckResponse};

use super::host::{Host, eventually, quick};

/// A service that does what the message asks for.
#[derive(Clone, Default)]
struct Scripted {
    calls: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
    timeouts: Arc<parking_lot::Mutex<Vec<Option<String>>>>,
}

#[tonic::async_trait]
impl Health for Scripted {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let nth = self.calls.fetch_add(1, Ordering::SeqCst);
        let timeout = request.metadata().get("grpc-timeout");
        let timeout = timeout.map(|text| text.to_str().unwrap().to_owned());
        self.timeouts.lock().push(timeout);
        match request.get_ref().service.as_str() {
            "sleep" => std::future::pending().await,
            "missing" => Err(Status::not_found("there is no such thing")),
            "later" if nth < 2 => Err(Status::unavailable("in a moment")),
            "away" => Err(Status::unavailable("for good")),
            _ => Ok(Response::new(said())),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.streams.fetch_add(1, Ordering::SeqCst);
        let gone = Gone(Arc::clone(&self.streams));
        let rest = stream::pending().map(move |never| {
            let _ = &gone;
            never
        });
        Ok(Response::new(Box::pin(
            stream::iter([Ok(said())]).chain(rest),
        )))
    }
}

struct Gone(Arc<AtomicUsize>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn said() -> HealthCheckResponse {
    let status = ServingStatus::Serving as i32;
    HealthCheckResponse { status }
}

fn asked(service: &str) -> HealthCheckRequest {
    let service = service.to_owned();
    HealthCheckRequest { service }
}

fn repeatable(service: &str) -> Request<HealthCheckRequest> {
    let mut request = Request::new(asked(service));
    request.extensions_mut().insert(Effect::Repeatable);
    request
}

struct Served {
    scripted: Scripted,
    url: String,
    _running: Running,
}

impl Served {
    async fn start() -> Self {
        let scripted = Scripted::default();
        let grpc = Grpc::new(HealthServer::new(scripted.clone()), FILE_DESCRIPTOR_SET);
        let grpc = grpc.allow::<Anyone>("Check").allow::<Anyone>("Watch");
        let settings = ServerSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            ..ServerSettings::default()
        };
        let service = Service::new(settings).mount(Module::new("scripted").grpc(grpc));
        let running = service.start().await.unwrap();
        let url = format!("http://{}", running.addresses().public.unwrap());
        Self {
            scripted,
            url,
            _running: running,
        }
    }

    fn channel(&self, settings: &ClientSettings) -> GrpcChannel {
        channel(&self.url, settings)
    }

    fn calls(&self) -> usize {
        self.scripted.calls.load(Ordering::SeqCst)
    }

    fn streams(&self) -> usize {
        self.scripted.streams.load(Ordering::SeqCst)
    }
}

fn channel(url: &str, settings: &ClientSettings) -> GrpcChannel {
    let channel = GrpcChannel::new("scripted", url, settings, &Metrics::default()).unwrap();
    channel.describe(FILE_DESCRIPTOR_SET).unwrap()
}

#[tokio::test]
async fn a_generated_client_calls_through_the_channel_and_tells_its_deadline() {
    let served = Served::start().await;
    let mut client = HealthClient::new(served.channel(&quick()));
    let answer = client.check(asked("")).await.unwrap();
    assert_eq!(answer.get_ref().status, ServingStatus::Serving as i32);
    let status = client.check(asked("missing")).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, "there is no such thing")
    );
    assert!(
        ClientError::of_status(&status).is_none(),
        "the dependency has said it"
    );
    assert!(served.scripted.timeouts.lock().iter().all(Option::is_some));

    let mut late = Request::new(asked("sleep"));
    late.set_timeout(Duration::from_millis(150));
    let begun = Instant::now();
    let status = client.check(late).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(begun.elapsed() < Duration::from_millis(600));
}

#[tokio::test]
async fn what_may_be_repeated_is_and_all_else_is_sent_once() {
    let served = Served::start().await;
    let mut client = HealthClient::new(served.channel(&quick()));
    client.check(repeatable("later")).await.unwrap();
    assert_eq!(served.calls(), 3);
    let status = client.check(asked("away")).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message(), served.calls()),
        (Code::Unavailable, "for good", 4)
    );
    let mut keyed = Request::new(asked("away"));
    keyed
        .metadata_mut()
        .insert("idempotency-key", "7".parse().unwrap());
    client.check(keyed).await.unwrap_err();
    assert_eq!(served.calls(), 7);
}

#[tokio::test]
async fn an_open_breaker_and_a_host_that_is_down_are_unavailable_and_say_why() {
    let served = Served::start().await;
    let channel = served.channel(&quick());
    channel.policy().unwrap().breaker().unwrap().force_open();
    let status = HealthClient::new(channel)
        .check(asked(""))
        .await
        .unwrap_err();
    let error = ClientError::of_status(&status).unwrap();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(
        matches!(error.reason(), Reason::Refused(Refusal::BreakerOpen { .. })),
        "{error}"
    );

    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let mut client = HealthClient::new(self::channel(&format!("http://{nobody}"), &quick()));
    let status = client.check(asked("")).await.unwrap_err();
    let error = ClientError::of_status(&status).unwrap();
    assert_eq!((status.code(), error.attempts()), (Code::Unavailable, 3));
    assert!(matches!(error.reason(), Reason::Connect(_)), "{error}");
}

#[tokio::test]
async fn a_stream_outlives_the_policy_keeps_its_place_and_ends_when_it_is_dropped() {
    let served = Served::start().await;
    let mut settings = quick();
    settings.policy.timeout = Duration::from_millis(200);
    settings.policy.deadline = Duration::from_millis(300);
    settings.streams_max = 1;
    let channel = served.channel(&settings);
    let mut client = HealthClient::new(channel.clone());
    let mut watching = client.watch(asked("")).await.unwrap().into_inner();
    assert!(watching.message().await.unwrap().is_some());
    let more = timeout(Duration::from_millis(600), watching.message()).await;
    assert!(more.is_err(), "no deadline was given for it: {more:?}");
    assert_eq!(channel.policy().unwrap().bulkhead().unwrap().running(), 0);
    let second = client.watch(asked("")).await.unwrap_err();
    assert_eq!(second.code(), Code::Unavailable);
    assert_eq!(served.streams(), 1);
    drop(watching);
    eventually("the service has dropped the stream", || {
        served.streams() == 0
    })
    .await;
    client.watch(asked("")).await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_at_the_deadline_that_was_given_for_it() {
    let served = Served::start().await;
    let mut client = HealthClient::new(served.channel(&quick()));
    let mut request = Request::new(asked(""));
    request.set_timeout(Duration::from_millis(300));
    let begun = Instant::now();
    let mut watching = client.watch(request).await.unwrap().into_inner();
    assert!(watching.message().await.unwrap().is_some());
    let status = watching.message().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(begun.elapsed() < Duration::from_millis(900));
}

#[tokio::test]
async fn a_dropped_call_is_reset_at_the_service_and_its_connection_stays() {
    let served = Served::start().await;
    let metrics = Metrics::default();
    let channel = GrpcChannel::new("scripted", &served.url, &quick(), &metrics).unwrap();
    let channel = channel.describe(FILE_DESCRIPTOR_SET).unwrap();
    for _ in 0..10 {
        let mut client = HealthClient::new(channel.clone());
        let call = client.check(asked("sleep"));
        assert!(timeout(Duration::from_millis(30), call).await.is_err());
    }
    assert_eq!(channel.policy().unwrap().bulkhead().unwrap().running(), 0);
    HealthClient::new(channel).check(asked("")).await.unwrap();
    let text = metrics.encode();
    assert!(
        text.contains("stanchion_client_connects_total{dependency=\"scripted\",outcome=\"ok\"} 1"),
        "{text}"
    );
}

/// An answer that is a status alone.
fn status_alone(
    code: &'static str,
    more: &[(&'static str, &'static str)],
) -> http::Response<axum::body::Body> {
    let mut response = http::Response::new(axum::body::Body::empty());
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(code));
    for (name, value) in more {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    response
}

/// A message, and the status behind it.
fn message_then(
    code: &'static str,
    more: &'static [(&'static str, &'static str)],
) -> http::Response<axum::body::Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    for (name, value) in more {
        trailers.insert(*name, HeaderValue::from_static(value));
    }
    let frames = [
        Ok::<_, Infallible>(http_body::Frame::data(bytes::Bytes::from_static(&[
            0, 0, 0, 0, 2, 8, 1,
        ]))),
        Ok(http_body::Frame::trailers(trailers)),
    ];
    let body = StreamBody::new(stream::iter(frames));
    let mut response = http::Response::new(axum::body::Body::new(body));
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    response
}

#[tokio::test]
async fn pushback_says_when_to_come_again_and_whether() {
    let host = Host::start().await;
    let mut client = HealthClient::new(channel(&host.url(), &quick()));
    host.answer(|nth, _| match nth {
        // In the head, and behind a message: the policy waits for the status of a unary call.
        0 => status_alone("14", &[("grpc-retry-pushback-ms", "300")]),
        1 => message_then("14", &[("grpc-retry-pushback-ms", "300")]),
        _ => message_then("0", &[]),
    });
    let begun = Instant::now();
    client.check(repeatable("")).await.unwrap();
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(600) && took < Duration::from_millis(1_500),
        "{took:?}"
    );
    let previous: Vec<_> = host
        .heads()
        .iter()
        .map(|head| head.get("grpc-previous-rpc-attempts").cloned())
        .collect();
    let number = |text| Some(HeaderValue::from_static(text));
    assert_eq!(previous, [None, number("1"), number("2")]);

    host.answer(|_, _| status_alone("14", &[("grpc-retry-pushback-ms", "-1")]));
    let status = client.check(repeatable("")).await.unwrap_err();
    assert_eq!((status.code(), host.calls()), (Code::Unavailable, 4));
}

#[tokio::test]
async fn what_is_no_grpc_and_details_that_are_none_end_in_a_status() {
    let host = Host::start().await;
    let mut client = HealthClient::new(channel(&host.url(), &quick()));
    for (status, code) in [
        (404, Code::Unimplemented),
        (502, Code::Unavailable),
        (401, Code::Unauthenticated),
    ] {
        host.status(status);
        let answered = client.check(asked("")).await.unwrap_err();
        assert_eq!(answered.code(), code, "{status}");
    }
    host.answer(|_, _| status_alone("9", &[("grpc-status-details-bin", "!no base64!")]));
    assert_eq!(
        client.check(asked("")).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
    host.answer(|_, _| message_then("9", &[("grpc-status-details-bin", "A")]));
    assert_eq!(
        client.check(asked("")).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
    // Behind the messages of a stream as well, where a panic would end the task that reads it.
    let mut watching = client.watch(asked("")).await.unwrap().into_inner();
    assert!(watching.message().await.unwrap().is_some());
    assert_eq!(
        watching.message().await.unwrap_err().code(),
        Code::FailedPrecondition
    );
}

#[tokio::test]
async fn the_same_client_calls_a_service_within_the_process() {
    let scripted = Scripted::default();
    let channel = GrpcChannel::within(HealthServer::new(scripted.clone()));
    assert!(channel.policy().is_none());
    let mut client = HealthClient::new(channel);
    client.check(asked("")).await.unwrap();
    let status = client.check(asked("missing")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let mut watching = client.watch(asked("")).await.unwrap().into_inner();
    assert!(watching.message().await.unwrap().is_some());
    drop(watching);
    assert_eq!(scripted.streams.load(Ordering::SeqCst), 0);
}
