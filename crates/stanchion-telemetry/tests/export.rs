//! Traces reach a collector. One test a file: telemetry starts once a process.
#![allow(clippy::unwrap_used)]

use stanchion_telemetry::{TelemetrySettings, init, trace};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers one request and gives its bytes.
async fn collect(listener: TcpListener) -> Vec<u8> {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !whole(&request) {
        assert_ne!(
            stream.read_buf(&mut request).await.unwrap(),
            0,
            "the exporter hung up early"
        );
    }
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(answer).await.unwrap();
    request
}

/// Whether the head and as many bytes as it announces are there.
fn whole(request: &[u8]) -> bool {
    let Some(head) = request.windows(4).position(|end| end == b"\r\n\r\n") else {
        return false;
    };
    let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    request.len() >= head + 4 + length.expect("an exporter announces its length")
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_is_exported_at_the_latest_by_the_flush() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let settings = TelemetrySettings {
        otlp_endpoint: Some(endpoint),
        ..TelemetrySettings::default()
    };
    let telemetry = init(&settings, "export-test").unwrap();
    assert!(
        init(&settings, "export-test").is_err(),
        "a second start is refused"
    );

    let trace_id = tracing::info_span!("order.process", order.id = "o-1")
        .in_scope(|| trace::trace_id().unwrap());
    let (request, ()) = tokio::join!(collect(listener), telemetry.flush());

    let head = String::from_utf8_lossy(&request[..64]);
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    let trace_bytes: Vec<u8> = (0..32)
        .step_by(2)
        .map(|at| u8::from_str_radix(&trace_id[at..at + 2], 16).unwrap())
        .collect();
    for part in [&b"export-test"[..], b"order.process", b"o-1", &trace_bytes] {
        assert!(holds(&request, part), "{part:?} was not exported");
    }
}
