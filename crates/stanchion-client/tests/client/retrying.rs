//! What is sent again, how often, and what is told of it.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use stanchion_client::{ClientError, Reason};
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

/// By the clock of whoever asks for it, which may be a generation behind ours.
#[tokio::test]
async fn a_wait_until_a_date_is_kept_like_one_of_seconds() {
    const MADE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let host = Host::start().await;
    let told = |until| [(DATE, MADE), (RETRY_AFTER, until)];
    host.answer(move |nth, _| match nth {
        0 => (
            StatusCode::SERVICE_UNAVAILABLE,
            told("Sun, 06 Nov 1994 08:49:38 GMT"),
        ),
        1 => (StatusCode::OK, told("0")),
        _ => (
            StatusCode::SERVICE_UNAVAILABLE,
            told("Sun, 06 Nov 1994 08:50:37 GMT"),
        ),
    });
    let client = host.client(&quick());
    let begun = tokio::time::Instant::now();
    client.get("/things").send().await.unwrap();
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");

    let error = client.get("/things").send().await.unwrap_err();
    assert_eq!((host.calls(), error.stopped()), (3, Stopped::Final));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
}

#[tokio::test]
async fn a_call_that_is_still_at_work_under_its_key_is_asked_for_again_when_it_said() {
    let host = Host::start().await;
    let after = HeaderName::from_static("retry-after");
    host.answer(move |nth, _| match nth {
        0 | 2 => (StatusCode::CONFLICT, [(after.clone(), "1")]),
        _ => (StatusCode::CREATED, [(after.clone(), "0")]),
    });
    let client = host.client(&quick());
    let begun = tokio::time::Instant::now();
    let order = client.post("/orders").json(&1).idempotency_key("order-7");
    assert_eq!(order.send().await.unwrap().status(), StatusCode::CREATED);
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_secs(1) && host.calls() == 2,
        "{took:?}"
    );
    // Without a key nobody knows what is at work.
    let once = client.post("/orders").json(&1).send().await.unwrap_err();
    assert_eq!((host.calls(), once.stopped()), (3, Stopped::NotRepeatable));
}

/// What an operator is told.
fn told(error: &ClientError) -> String {
    match error.reason() {
        Reason::Refused(refusal) => format!("{} is left alone: {refusal}", error.dependency()),
        Reason::Status(answer) => format!("it said {}", answer.status()),
        _ if error.stopped() == Stopped::Budget => "no retry is left to spend".into(),
        _ if error.had_no_effect() => "it was not done".into(),
        _ => "it may have been done".into(),
    }
}

#[tokio::test]
async fn what_happened_can_be_told_apart() {
    let host = Host::start().await;
    let client = host.client(&quick());
    host.status(409);
    let conflict = client.post("/").send().await.unwrap_err();
    assert_eq!(told(&conflict), "it said 409 Conflict");
    client.policy().breaker().unwrap().force_open();
    let open = client.post("/").send().await.unwrap_err();
    assert_eq!(
        told(&open),
        "stub is left alone: the circuit breaker is open"
    );

    let mut settings = quick();
    settings.policy.timeout = Duration::from_millis(100);
    host.takes(Duration::from_secs(60));
    let lost = host.client(&settings).post("/").send().await.unwrap_err();
    assert_eq!(told(&lost), "it may have been done");
    let address = host.address;
    drop(host);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let gone = format!("http://{address}");
    settings.policy.retry_on = false;
    let gone = stanchion_client::HttpClient::new("gone", &gone, &settings, &Default::default());
    let gone = gone.unwrap().post("/").send().await.unwrap_err();
    assert_eq!(told(&gone), "it was not done");
}
