//! A collector that does not answer. One test a file: telemetry starts once a process.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use stanchion_telemetry::{TelemetrySettings, init};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// The flush's own three seconds, and some for a busy machine.
const FLUSH_MAX: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_ends_in_time_when_the_collector_never_answers() {
    // Accepted by the kernel, read by nobody.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let settings = TelemetrySettings {
        otlp_endpoint: Some(endpoint),
        ..TelemetrySettings::default()
    };
    let telemetry = init(&settings, "flush-test").unwrap();
    // More than the queue holds: what does not fit is dropped, nobody waits.
    let started = Instant::now();
    for _ in 0..10_000 {
        tracing::info_span!("work").in_scope(|| ());
    }
    telemetry.flush().await;
    assert!(
        started.elapsed() < FLUSH_MAX,
        "took {:?}",
        started.elapsed()
    );
}
