//! Redis killed, paused, empty, or never there.

use std::time::Duration;

use stanchion_redis::rate::{SharedRate, SharedRateError, SharedRateSettings, WhenOut};
use stanchion_resilience::breaker::State;
use stanchion_resilience::{Failure, Refusal};
use stanchion_telemetry::Metrics;
use stanchion_testing::servers::Redis;
use tokio::time::{Instant, sleep};

use super::support::{open, passed, settings};

/// Of four replicas, with the budget and breaker a service would have, but for a shorter open time.
fn falling_back(redis: &Redis, burst: u32) -> SharedRateSettings {
    let mut settings = settings(&redis.url(), burst);
    settings.when_out = WhenOut::Fallback;
    settings.replicas = 4;
    settings.budget = Duration::from_millis(20);
    settings.breaker.open = Duration::from_millis(300);
    settings
}

/// Another process with the same limit, which waits for Redis however loaded this machine is, and so counts exactly.
fn patient(redis: &Redis) -> SharedRate {
    open(&settings(&redis.url(), 40))
}

/// Until the breaker is closed again; with it the calls go to Redis.
async fn recovered(rate: &SharedRate) -> Duration {
    let begun = Instant::now();
    while rate.breaker().state() != State::Closed {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{:?}",
            rate.breaker()
        );
        let _ = rate.check("probe", 0).await;
        sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed()
}

/// The longest a check took, and how many passed.
async fn timed(rate: &SharedRate, key: &str, calls: u32) -> (Duration, u32) {
    let (mut longest, mut passed) = (Duration::ZERO, 0);
    for _ in 0..calls {
        let begun = Instant::now();
        passed += u32::from(rate.check(key, 1).await.is_ok());
        longest = longest.max(begun.elapsed());
    }
    (longest, passed)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_frozen_each_process_has_its_part_and_hardly_waits() {
    let Some(mut redis) = Redis::required() else {
        return;
    };
    let (rate, patient) = (open(&falling_back(&redis, 40)), patient(&redis));
    assert_eq!(passed(&patient, "ann", 40).await, 40);
    redis.pause().unwrap();
    let (longest, passed) = timed(&rate, "bob", 100).await;
    // A quarter of the burst; twenty checks wait for the budget, then the breaker spares the rest.
    assert_eq!(passed, 10);
    assert!(longest < Duration::from_millis(400), "{longest:?}");
    assert_eq!(rate.breaker().state(), State::Open);
    redis.resume().unwrap();
    recovered(&rate).await;
    assert!(
        patient.check("ann", 1).await.is_err(),
        "Redis has forgotten nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_comes_back_by_itself_and_empty() {
    let Some(mut redis) = Redis::required() else {
        return;
    };
    let metrics = Metrics::default();
    let rate = SharedRate::open("test", &falling_back(&redis, 40), &metrics).unwrap();
    assert_eq!(passed(&patient(&redis), "ann", 41).await, 40);
    redis.kill().unwrap();
    assert_eq!(
        passed(&rate, "ann", 100).await,
        10,
        "the part of one of four"
    );
    let allowed = "redis_rate_checks_total{limit=\"test\",outcome=\"fallback_allowed\"} 10\n";
    assert!(metrics.encode().contains(allowed), "{}", metrics.encode());
    redis.restart().unwrap();
    let took = recovered(&rate).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(
        passed(&patient(&redis), "ann", 41).await,
        40,
        "a new Redis knows nothing"
    );
    let text = metrics.encode();
    for line in [
        "redis_rate_checks_total{limit=\"test\",outcome=\"fallback_refused\"} ",
        "redis_rate_breaker_state{limit=\"test\"} 0",
        "redis_rate_fallback_keys_max{limit=\"test\"} 100000",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_limit_refuses_everything_without_redis_and_says_when_to_come_again() {
    let Some(mut redis) = Redis::required() else {
        return;
    };
    let mut settings = falling_back(&redis, 40);
    settings.when_out = WhenOut::Closed;
    settings.budget = Duration::from_millis(500);
    let rate = open(&settings);
    assert_eq!(rate.check("ann", 1).await, Ok(()));
    redis.kill().unwrap();
    let refused = rate.call("ann", async { Ok::<_, ()>(()) }).await;
    let second = Duration::from_secs(1);
    let limited = Refusal::RateLimited {
        retry_after: second,
    };
    assert_eq!(refused, Err(Failure::Refused(limited)));
    assert_eq!(passed(&rate, "ann", 100).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_starts_without_redis_and_finds_it_later() {
    let Some(mut redis) = Redis::required() else {
        return;
    };
    redis.kill().unwrap();
    let rate = open(&falling_back(&redis, 40));
    assert_eq!(passed(&rate, "ann", 100).await, 10);
    redis.restart().unwrap();
    recovered(&rate).await;
    assert_eq!(passed(&patient(&redis), "ann", 41).await, 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_redis_has_forgotten_and_a_value_that_is_none_do_no_harm() {
    let Some(redis) = Redis::required() else {
        return;
    };
    let rate = open(&settings(&redis.url(), 5));
    assert_eq!(passed(&rate, "ann", 3).await, 3);
    assert!(redis.command("SCRIPT FLUSH").unwrap().starts_with("+OK"));
    assert_eq!(passed(&rate, "ann", 3).await, 2);
    redis
        .command("SET stanchion:rate:test:bob rubbish")
        .unwrap();
    assert_eq!(passed(&rate, "bob", 6).await, 5);
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_told_without_its_password() {
    let mut settings = settings("http://ann:secret@example.org", 5);
    let error = SharedRate::open("test", &settings, &Metrics::default()).unwrap_err();
    assert!(matches!(error, SharedRateError::Url(_)));
    assert!(!format!("{error} {error:?}").contains("secret"));
    settings.url = None;
    let none = SharedRate::open("test", &settings, &Metrics::default());
    assert!(matches!(none, Err(SharedRateError::NoUrl)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layer_limits_each_request_by_its_key() {
    use tower::{Layer, ServiceExt, service_fn};

    let Some(redis) = Redis::required() else {
        return;
    };
    let rate = open(&settings(&redis.url(), 2));
    let service = rate
        .layer(|key: &&'static str| ((*key).to_owned(), 1))
        .layer(service_fn(
            |key: &'static str| async move { Ok::<_, ()>(key) },
        ));
    for (key, passes) in [("ann", true), ("ann", true), ("ann", false), ("bob", true)] {
        assert_eq!(service.clone().oneshot(key).await.is_ok(), passes, "{key}");
    }
}
