//! When a call ends: at its deadline, or with the service.

use tokio::time::{Instant, timeout};

use super::super::api::Api;
use super::*;

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
    let api = Api(service(settings()).into_router().unwrap());
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
