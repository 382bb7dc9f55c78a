//! What is sent again, how often, and what is told of it.

use std::time::Duration;

use http::{HeaderName, StatusCode};
use stanchion_client::Reason;
use stanchion_resilience::retry::Stopped;

use super::host::{Host, quick};

#[tokio::test]
async fn a_read_that_fails_is_sent_again_and_each_attempt_says_its_number() {
    let host = Host::start().await;
    host.answer(|nth, _| {
        if nth < 2 {
            StatusCode::BAD_GATEWAY
        } else {
            StatusCode::OK
        }
    });
    let client = host.client(&quick());
    let answer = client.get("/things?of=all").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), host.calls()), (200, 3));
    let numbers: Vec<_> = host
        .heads()
        .iter()
        .map(|head| head["x-request-attempt"].clone())
        .collect();
    assert_eq!(numbers, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_post_is_sent_once_and_with_a_key_again() {
    let host = Host::start().await;
    host.status(502);
    let client = host.client(&quick());
    let once = client.post("/orders").json(&1).send().await.unwrap_err();
    assert_eq!((host.calls(), once.stopped()), (1, Stopped::NotRepeatable));
    assert!(!once.had_no_effect());

    let keyed = client
        .post("/orders")
        .json(&1)
        .idempotency_key("order-7")
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        (host.calls(), keyed.attempts(), keyed.stopped()),
        (4, 3, Stopped::Attempts)
    );
    assert_eq!(keyed.status(), Some(StatusCode::BAD_GATEWAY));
    assert_eq!(host.heads()[3]["idempotency-key"], "order-7");
}

#[tokio::test]
async fn what_the_dependency_says_for_good_is_not_asked_again_and_keeps_its_body() {
    let host = Host::start().await;
    host.answer(|_, _| (StatusCode::PAYMENT_REQUIRED, "{\"code\":\"card_declined\"}"));
    let error = host
        .client(&quick())
        .get("/charge")
        .send()
        .await
        .unwrap_err();
    let Reason::Status(answer) = error.reason() else {
        panic!("{error}")
    };
    assert_eq!(
        (answer.text().as_str(), host.calls()),
        ("{\"code\":\"card_declined\"}", 1)
    );
    assert_eq!(error.to_string(), "stub: it answered 402");
}

#[tokio::test]
async fn in_an_outage_retries_are_paid_from_the_budget() {
    let host = Host::start().await;
    host.status(502);
    let mut settings = quick();
    settings.policy.breaker_on = false;
    let client = host.client(&settings);
    let mut out_of_budget = 0;
    for _ in 0..100 {
        let error = client.get("/things").send().await.unwrap_err();
        out_of_budget += u32::from(error.stopped() == Stopped::Budget);
    }
    // 100 first calls, a tenth of them, ten saved up, and one a second.
    assert!(
        (115..=130).contains(&host.calls()),
        "{} calls",
        host.calls()
    );
    assert!(out_of_budget >= 80, "{out_of_budget}");
}

#[tokio::test]
async fn the_wait_that_a_server_asks_for_is_kept_and_one_that_is_too_long_is_an_end() {
    let host = Host::start().await;
    let after = HeaderName::from_static("retry-after");
    let asked = after.clone();
    host.answer(move |nth, _| match nth {
        0 => (StatusCode::SERVICE_UNAVAILABLE, [(asked.clone(), "1")]),
        _ => (StatusCode::OK, [(asked.clone(), "0")]),
    });
    let client = host.client(&quick());
    let begun = tokio::time::Instant::now();
    client.get("/things").send().await.unwrap();
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_secs(1) && took < Duration::from_secs(3),
        "{took:?}"
    );

    host.answer(move |_, _| (StatusCode::TOO_MANY_REQUESTS, [(after.clone(), "60")]));
    let calls = host.calls();
    let error = client.get("/things").send().await.unwrap_err();
    assert_eq!((host.calls() - calls, error.stopped()), (1, Stopped::Final));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
}
