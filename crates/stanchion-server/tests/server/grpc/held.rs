//! What a call may hold, and for how long.

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use stanchion_runtime::task;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use super::super::sockets::Line;
use super::*;

/// A client that has room for nothing: it reads the head, and never a message.
async fn watch_reading_nothing(address: SocketAddr) -> http2::SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut client = http2::Builder::new(TokioExecutor::new());
    client.initial_stream_window_size(0);
    let shaken = client.handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.unwrap();
    task::spawn("client", async move { drop(connection.await) });
    let request = http::Request::post("http://localhost/grpc.health.v1.Health/Watch")
        .header("content-type", "application/grpc")
        .header("authorization", "Bearer writer")
        .header("grpc-timeout", "300m");
    let request = request.body(Full::from(&b"\0\0\0\0\0"[..])).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    task::spawn("reader", async move {
        let _unread = response;
        std::future::pending::<()>().await;
    });
    sender
}

#[tokio::test]
async fn a_client_that_reads_nothing_gives_its_place_back_at_the_deadline() {
    let brief = ServerSettings {
        drain: Duration::from_millis(300),
        ..settings()
    };
    let mut ours = Ours::start(brief).await;
    let _client = watch_reading_nothing(ours.running.addresses().public.unwrap()).await;
    let held = [
        "stanchion_server_requests_waiting 1",
        "stanchion_server_requests_in_flight 1",
    ];
    let free = [
        "stanchion_server_requests_waiting 0",
        "stanchion_server_requests_in_flight 0",
        r#"endpoint="/grpc.health.v1.Health/Watch",status="DEADLINE_EXCEEDED"} 1"#,
        r#"stanchion_server_grpc_calls_cut_total{reason="deadline"} 1"#,
    ];
    let shows = |lines: &[&str]| {
        let shown = ours.metrics.encode();
        lines.iter().all(|line| shown.contains(line))
    };
    assert!(shows(&held), "{}", ours.metrics.encode());
    let began = Instant::now();
    while !shows(&free) {
        let waited = began.elapsed();
        assert!(waited.as_secs() < 5, "{}", ours.metrics.encode());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The client still holds its connection, and a stop up to `drain`; nothing was left to cut off.
    ours.running.stop();
    assert!(matches!(ours.running.stopped().await, Stopped::Clean));
}

#[tokio::test]
async fn streams_for_anyone_take_no_places_of_callers() {
    let tiny = ServerSettings {
        waiting_max: 1,
        ..settings()
    };
    let mut ours = Ours::start(tiny).await;
    let mut client = ServerReflectionClient::new(channel(&ours.running).await);
    let mut open = Vec::new();
    let refused = loop {
        match client.server_reflection_info(stream::pending()).await {
            Ok(stream) => open.push(stream),
            Err(status) => break status,
        }
        assert!(open.len() < 100, "without bound");
    };
    assert_eq!((open.len(), refused.code()), (64, Grpced::Unavailable));
    let shown = ours.metrics.encode();
    let line = r#"requests_shed_total{reason="public_streams"} 1"#;
    assert!(shown.contains(line), "{shown}");
    let mut stream = ours.watch(asking("writer", "")).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
}

#[tokio::test]
async fn a_stream_that_panics_is_an_internal_error_and_costs_nobody_else_anything() {
    let mut ours = Ours::start(settings()).await;
    let mut other = ours.watch(asking("writer", "")).await.unwrap();
    let mut stream = ours.watch(asking("writer", "panic")).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Grpced::Internal, "{status:?}");
    assert!(!format!("{status:?}").contains("canary"), "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "INTERNAL");
    let shown = ours.metrics.encode();
    assert!(shown.contains("stanchion_server_panics_total 1"), "{shown}");
    assert!(other.message().await.unwrap().is_some());
    assert!(ours.check("").await.is_ok(), "on the same connection");
}

#[tokio::test]
async fn below_http2_a_call_is_refused_in_its_head() {
    let ours = Ours::start(settings()).await;
    let mut line = Line::open(ours.running.addresses().public.unwrap()).await;
    line.say(
        "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nhost: localhost\r\n\
         content-type: application/grpc\r\nauthorization: Bearer reader\r\n\
         content-length: 5\r\n\r\n\0\0\0\0\0",
    )
    .await;
    let (head, _) = line.answer().await.unwrap();
    assert!(head.contains("grpc-status: 3\r\n"), "{head}");
}
