//! Somebody's own axum router, mounted as it is.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream;
use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use hyper_util::rt::TokioIo;
use stanchion_runtime::task;
use stanchion_server::{Module, RequestContext, Running, ServerSettings, Service, Stopped};
use stanchion_telemetry::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::api::Api;
use super::shop::{Things, Tokens, module, settings};
use super::sockets::Line;

fn application() -> Router {
    Router::new()
        .route(
            "/hello/{name}",
            get(async |axum::extract::Path(name): axum::extract::Path<String>| name),
        )
        .route(
            "/teapot",
            get(async || (StatusCode::IM_A_TEAPOT, "my own words")),
        )
        .route("/slow", get(async || std::future::pending::<()>().await))
        .route(
            "/panics",
            get(async || -> &'static str { panic!("canary-secret") }),
        )
        .route("/echo", post(async |body: String| body))
}

fn api(application: Router) -> Api {
    let quick = ServerSettings {
        request_timeout: Duration::from_millis(200),
        ..settings()
    };
    let service = Service::new(quick).mount(module(Things::default()));
    Api(service
        .mount(Module::new("own").http_router(application))
        .into_router()
        .unwrap())
}

#[tokio::test]
async fn its_answers_are_its_own() {
    let api = api(application());
    let got = api.get("//hello/you").await;
    assert_eq!((got.status, got.text.as_str()), (200, "you"));
    assert!(!got.header("x-request-id").is_empty());
    let got = api.get("//teapot").await;
    assert_eq!((got.status, got.text.as_str()), (418, "my own words"));
    assert_eq!(
        api.get("/seen").await.status,
        200,
        "beside described routes"
    );
}

#[tokio::test]
async fn it_gets_what_it_did_not_have() {
    let api = api(application());
    assert_eq!(api.get("//slow").await.code(), "DEADLINE_EXCEEDED");
    let got = api.get("//panics").await;
    assert_eq!((got.status, got.code().as_str()), (500, "INTERNAL"));
    assert!(!got.text.contains("canary-secret"));
    assert_eq!(api.get("//nothing").await.code(), "ROUTE_NOT_FOUND");
    assert_eq!(
        api.send("DELETE //teapot", &[], Body::empty()).await.code(),
        "METHOD_NOT_ALLOWED"
    );
    let large = api
        .send("POST //echo", &[], "x".repeat(2 * 1024 * 1024))
        .await;
    assert_eq!(large.status, 413);
}

#[tokio::test]
async fn its_streams_last_longer_than_a_request_may() {
    // Says how things are, and then nothing, for as long as its reporter is there.
    let (_reporter, server) = tonic_health::server::health_reporter();
    let own = Router::new().route_service("/grpc.health.v1.Health/{method}", server);
    let api = api(own);
    let watch = async |headers: &[(&str, &str)]| {
        let mut all = vec![("content-type", "application/grpc")];
        all.extend(headers);
        let answered = api.send(
            "POST //grpc.health.v1.Health/Watch",
            &all,
            b"\0\0\0\0\0".to_vec(),
        );
        tokio::time::timeout(Duration::from_millis(700), answered).await
    };
    assert!(watch(&[]).await.is_err(), "it goes on");
    assert!(
        watch(&[("grpc-timeout", "5S")]).await.is_err(),
        "it goes on"
    );
    assert!(watch(&[("grpc-timeout", "100m")]).await.is_ok());
}

#[tokio::test]
async fn its_event_streams_end_in_time_and_with_the_service() {
    let hour = Duration::from_secs(3_600);
    for (event_stream_timeout, is_stopped) in [(Duration::from_millis(500), false), (hour, true)] {
        let events = async || {
            let silent = stream::pending::<Result<Bytes, Infallible>>();
            let kind = [(CONTENT_TYPE, "text/event-stream;charset=utf-8")];
            (kind, Body::from_stream(silent))
        };
        let router = Router::new().route("/events", get(events));
        let service = Service::new(ServerSettings {
            event_stream_timeout,
            ..settings()
        });
        let service = service.mount(Module::new("own").http_router(router));
        let mut running = service.start().await.unwrap();
        let mut line = Line::open(running.addresses().public.unwrap()).await;
        line.say("GET /events HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let (head, _) = line.answer().await.unwrap();
        assert!(head.contains("text/event-stream"), "{head}");
        if is_stopped {
            running.stop();
        }
        let mut last_chunk = [0; 5];
        let read = line.0.read_exact(&mut last_chunk);
        let read = timeout(Duration::from_secs(5), read).await;
        read.expect("it ends").unwrap();
        assert_eq!(&last_chunk, b"0\r\n\r\n");
        running.stop();
        assert!(matches!(running.stopped().await, Stopped::Clean));
    }
}

#[tokio::test]
async fn its_own_fallback_stays() {
    let own = application().fallback(async || (StatusCode::NOT_FOUND, "nothing of mine"));
    let got = api(own).get("//nothing").await;
    assert_eq!((got.status, got.text.as_str()), (404, "nothing of mine"));
}

/// Makes another protocol of its connection: whatever is said comes back.
async fn upgraded(mut request: Request) -> Response {
    let upgrading = hyper::upgrade::on(&mut request);
    drop(task::spawn("upgraded", async move {
        let mut io = TokioIo::new(upgrading.await.unwrap());
        let mut piece = [0; 64];
        while let Ok(read @ 1..) = io.read(&mut piece).await {
            io.write_all(&piece[..read]).await.unwrap();
        }
    }));
    let head = [(CONNECTION, "upgrade"), (UPGRADE, "echo")];
    (StatusCode::SWITCHING_PROTOCOLS, head).into_response()
}

/// A way through to somewhere else: here, to an echo.
async fn tunnel(request: Request) -> Response {
    let _switched = upgraded(request).await;
    StatusCode::OK.into_response()
}

/// Another protocol, which says goodbye when the service stops.
async fn polite(RequestContext(context): RequestContext, mut request: Request) -> Response {
    let upgrading = hyper::upgrade::on(&mut request);
    drop(task::spawn("polite", async move {
        let mut io = TokioIo::new(upgrading.await.unwrap());
        context.stopping().cancelled().await;
        io.write_all(b"goodbye").await.unwrap();
    }));
    let head = [(CONNECTION, "upgrade"), (UPGRADE, "polite")];
    (StatusCode::SWITCHING_PROTOCOLS, head).into_response()
}

async fn echoes(line: &mut Line) {
    line.say("hello").await;
    let mut said = [0; 5];
    line.0.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello");
}

const ECHO: &str = "GET /up HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
const POLITE: &str =
    "GET /polite HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: polite\r\n\r\n";

/// A service with a connection that has become another protocol.
async fn switched(drain: Duration, request: &str, status: u16) -> (Running, Metrics, Line) {
    let metrics = Metrics::default();
    let router = Router::new()
        .route("/up", get(upgraded))
        .route("/polite", get(polite))
        .fallback(tunnel);
    let service = Service::new(ServerSettings {
        drain,
        ..settings()
    });
    let service = service
        .metrics(metrics.clone())
        .mount(Module::new("own").http_router(router));
    let running = service.start().await.unwrap();
    let mut line = Line::open(running.addresses().public.unwrap()).await;
    line.say(request).await;
    let (head, _) = line.answer().await.unwrap();
    assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
    (running, metrics, line)
}

fn shows(metrics: &Metrics, line: &str) -> bool {
    let shown = metrics.encode();
    shown.lines().any(|shown| shown == line)
}

#[tokio::test]
async fn a_stop_waits_for_another_protocol_and_cuts_it_at_the_deadline() {
    let connect = "CONNECT b:1 HTTP/1.1\r\nhost: b:1\r\n\r\n";
    for (request, status, method) in [(ECHO, 101, "GET"), (connect, 200, "CONNECT")] {
        let drain = Duration::from_millis(1_500);
        let (mut running, metrics, mut line) = switched(drain, request, status).await;
        echoes(&mut line).await;
        assert!(shows(&metrics, "stanchion_server_connections_upgraded 1"));
        let began = Instant::now();
        running.stop();
        // Behind the grace of those that are idle.
        sleep(Duration::from_millis(400)).await;
        echoes(&mut line).await;
        let stopped = timeout(Duration::from_secs(5), running.stopped()).await;
        let Ok(Stopped::Cut { requests, workers }) = stopped else {
            panic!("{method}: {stopped:?}")
        };
        assert!(began.elapsed() >= drain, "{:?}", began.elapsed());
        assert_eq!((requests.len(), workers.len()), (1, 0), "{method}");
        assert_eq!(requests[0].method, method);
        let end = timeout(Duration::from_secs(5), line.0.read(&mut [0])).await;
        assert!(!matches!(end.expect("cut"), Ok(1..)), "{method}");
        assert!(shows(&metrics, "stanchion_server_requests_cut_total 1"));
        assert!(shows(&metrics, "stanchion_server_connections_upgraded 0"));
    }
}

#[tokio::test]
async fn another_protocol_that_says_goodbye_ends_in_good_order() {
    let long = Duration::from_secs(20);
    let (mut running, _, mut line) = switched(long, POLITE, 101).await;
    let began = Instant::now();
    running.stop();
    let mut said = String::new();
    line.0.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "goodbye");
    let stopped = running.stopped().await;
    assert!(matches!(stopped, Stopped::Clean), "{stopped:?}");
    assert!(began.elapsed() < long / 2, "{:?}", began.elapsed());
}

/// Also when it is already stopping, for as long as it takes requests.
#[tokio::test]
async fn whoever_asks_for_another_protocol_during_the_lame_duck_gets_it() {
    let router = Router::new().route("/up", get(upgraded));
    let lame = ServerSettings {
        lame_duck: Some(Duration::from_secs(20)),
        ..settings()
    };
    let service = Service::new(lame).mount(Module::new("own").http_router(router));
    let running = service.start().await.unwrap();
    running.stop();
    // It has begun to: who keeps a connection is told.
    let address = running.addresses().public.unwrap();
    loop {
        let mut line = Line::open(address).await;
        line.say("GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n").await;
        if line.answer().await.unwrap().0.contains("connection: close") {
            break;
        }
    }
    let mut line = Line::open(address).await;
    line.say(ECHO).await;
    let (head, _) = line.answer().await.unwrap();
    assert!(head.contains("connection: upgrade"), "{head}");
    echoes(&mut line).await;
}

#[tokio::test]
async fn a_connection_that_became_another_protocol_still_counts() {
    let bounded = ServerSettings {
        connections_per_address_max: 1,
        ..settings()
    };
    let router = Router::new().route("/up", get(upgraded));
    let service = Service::new(bounded)
        .tokens(Arc::new(Tokens))
        .mount(module(Things::default()))
        .mount(Module::new("own").http_router(router));
    let running = service.start().await.unwrap();
    let address = running.addresses().public.unwrap();
    let mut line = Line::open(address).await;
    line.say(ECHO).await;
    let (head, _) = line.answer().await.unwrap();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    for _ in 0..3 {
        echoes(&mut line).await;
    }
    let mut another = Line::open(address).await;
    another.get("/seen").await;
    assert_eq!(another.answer().await, None, "there is one already");
    drop(line);
    let began = Instant::now();
    loop {
        let mut next = Line::open(address).await;
        next.get("/seen").await;
        if next.answer().await.is_some() {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "never counted out"
        );
        sleep(Duration::from_millis(10)).await;
    }
}
