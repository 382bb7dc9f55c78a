//! Calls that are too many.

use stanchion_runtime::task;
use tokio::time::Instant;

use super::*;

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
