//! The async function, the layer, and threads.

use std::convert::Infallible;
use std::time::Duration;

use tower::{Layer, ServiceExt, service_fn};

use super::super::*;

#[tokio::test(start_paused = true)]
async fn a_dropped_call_counts_for_nothing_and_a_panic_for_a_failure() {
    let breaker = Breaker::new("bank", &BreakerSettings::default());
    for _ in 0..50 {
        let call = breaker.call(std::future::pending::<Result<(), Infallible>>());
        let _ = tokio::time::timeout(Duration::from_secs(1), call).await;
    }
    assert_eq!(breaker.counts(Moment::now()).calls, 0);
    for _ in 0..20 {
        let breaker = breaker.clone();
        let call = async move {
            breaker
                .call(async { panic!("a bug") as Result<(), ()> })
                .await
        };
        assert!(stanchion_runtime::task::spawn("call", call).await.is_err());
    }
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_classifier_tells_what_an_error_means() {
    let breaker = Breaker::new("bank", &BreakerSettings::default());
    let judge =
        |result: &Result<(), u16>| result.map_or_else(Verdict::of_http, |()| Verdict::Success);
    for _ in 0..50 {
        let _ = breaker
            .call_judged(async { Err::<(), u16>(404) }, judge)
            .await;
    }
    assert_eq!(breaker.state(), State::Closed);
    for _ in 0..50 {
        let _ = breaker
            .call_judged(async { Err::<(), u16>(503) }, judge)
            .await;
    }
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn the_layer_and_the_function_share_one_breaker() {
    let breaker = Breaker::new("bank", &BreakerSettings::default());
    let service = breaker.layer().layer(service_fn(|fail: bool| async move {
        if fail { Err("down") } else { Ok("up") }
    }));
    assert_eq!(service.clone().oneshot(false).await, Ok("up"));
    for _ in 0..19 {
        assert_eq!(
            service.clone().oneshot(true).await,
            Err(Failure::Remote("down"))
        );
    }
    let refused = service.oneshot(false).await.unwrap_err();
    assert!(matches!(
        refused,
        Failure::Refused(Refusal::BreakerOpen { .. })
    ));
    assert!(breaker.call(async { Ok::<_, ()>(()) }).await.is_err());
}

#[test]
fn calls_of_many_threads_are_one_window() {
    let breaker = Breaker::new("bank", &BreakerSettings::default());
    let failing = |count: u32| {
        let breaker = breaker.clone();
        stanchion_runtime::task::thread("caller", move || {
            for _ in 0..count {
                breaker.acquire().unwrap().settle(Verdict::Failure);
            }
        })
    };
    for thread in [failing(9), failing(10)] {
        thread.join().unwrap();
    }
    let counts = breaker.counts(Moment::now());
    assert_eq!(
        (counts.calls, counts.failures, counts.failures_in_row),
        (19, 19, 19)
    );
    breaker.acquire().unwrap().settle(Verdict::Failure);
    assert_eq!(breaker.state(), State::Open);
}
