//! The breaker, its neighbours, and what a dropped call leaves behind.

use std::time::Duration;

use stanchion_client::Reason;
use stanchion_resilience::Refusal;
use stanchion_resilience::breaker::State;
use stanchion_telemetry::Metrics;
use tokio::time::{Instant, timeout};

use super::host::{Host, eventually, quick};

#[tokio::test]
async fn a_breaker_opens_refuses_at_once_and_its_neighbours_are_untouched() {
    let (bad, good) = (Host::start().await, Host::start().await);
    bad.status(500);
    let mut settings = quick();
    settings.policy.retry_on = false;
    let metrics = Metrics::default();
    let sick = stanchion_client::HttpClient::new("sick", &bad.url(), &settings, &metrics).unwrap();
    let well = stanchion_client::HttpClient::new("well", &good.url(), &settings, &metrics).unwrap();
    for _ in 0..20 {
        sick.get("/").send().await.unwrap_err();
        well.get("/").send().await.unwrap();
    }
    let begun = Instant::now();
    let error = sick.get("/").send().await.unwrap_err();
    assert!(
        matches!(error.reason(), Reason::Refused(Refusal::BreakerOpen { .. })),
        "{error}"
    );
    assert!(error.had_no_effect() && error.retry_after().is_some() && error.host().is_none());
    assert!(begun.elapsed() < Duration::from_millis(100));
    assert_eq!(bad.calls(), 20);
    well.get("/").send().await.unwrap();
    assert_eq!(sick.policy().breaker().unwrap().state(), State::Open);
    assert_eq!(well.policy().breaker().unwrap().state(), State::Closed);
    let text = metrics.encode();
    assert!(
        text.contains("policy_calls_total{dependency=\"sick\",outcome=\"breaker_open\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("stanchion_client_attempts_total{dependency=\"well\",outcome=\"ok\"} 21"),
        "{text}"
    );
}

#[tokio::test]
async fn a_dependency_that_hangs_holds_its_own_slots_alone() {
    let host = Host::start().await;
    host.takes(Duration::from_secs(60));
    let mut settings = quick();
    settings.policy.timeout = Duration::from_millis(300);
    settings.policy.retry_on = false;
    settings.policy.bulkhead.slots = 3;
    settings.policy.bulkhead.queue = 0;
    let client = host.client(&settings);
    let calls = (0..10).map(|_| client.get("/").send());
    let answers = futures_util::future::join_all(calls).await;
    let refused = answers.iter().filter(|answer| {
        let Err(error) = answer else {
            panic!("it hangs")
        };
        matches!(error.reason(), Reason::Refused(Refusal::BulkheadFull))
    });
    assert_eq!((refused.count(), host.calls()), (7, 3));
}

#[tokio::test]
async fn our_own_full_pool_is_no_failure_of_the_dependency() {
    let host = Host::start().await;
    host.takes(Duration::from_millis(200));
    let mut settings = quick();
    (settings.connections_max, settings.connect_timeout) = (1, Duration::from_millis(30));
    settings.policy.retry_on = false;
    let client = host.client(&settings);
    for _ in 0..3 {
        let calls = (0..20).map(|_| client.get("/").send());
        let answers = futures_util::future::join_all(calls).await;
        let full = answers.iter().filter_map(|answer| answer.as_ref().err());
        let full = full.filter(|error| {
            matches!(error.reason(), Reason::Refused(Refusal::BulkheadFull))
                && error.had_no_effect()
        });
        assert_eq!(full.count(), 19);
    }
    assert_eq!(
        client.policy().breaker().unwrap().state(),
        State::Closed,
        "57 of 60 never left us"
    );
    client.get("/").send().await.unwrap();
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_at_the_host_and_frees_its_permits() {
    let host = Host::start().await;
    host.takes(Duration::from_secs(60));
    let metrics = Metrics::default();
    let client =
        stanchion_client::HttpClient::new("stub", &host.url(), &quick(), &metrics).unwrap();
    for nth in 1..=5 {
        tokio::select! {
            answer = client.get("/").send() => panic!("it takes a minute: {answer:?}"),
            () = eventually("the host is at it", || host.calls() == nth) => {}
        }
    }
    assert_eq!(client.policy().bulkhead().unwrap().running(), 0);
    eventually("the host has dropped its work", || {
        host.calls() == 5 && host.running() == 0
    })
    .await;
    eventually("the connections are closed", || {
        metrics
            .encode()
            .contains("stanchion_client_connections{dependency=\"stub\"} 0")
    })
    .await;
    assert!(metrics.encode().contains("outcome=\"cancelled\"} 5"));
}

#[tokio::test]
async fn no_slot_connection_or_place_leaks_however_calls_are_cut_off() {
    let host = Host::start().await;
    let mut settings = quick();
    settings.connections_max = 4;
    settings.streams_max = 4;
    settings.policy.bulkhead.slots = 8;
    settings.policy.breaker_on = false;
    let metrics = Metrics::default();
    let client =
        stanchion_client::HttpClient::new("stub", &host.url(), &settings, &metrics).unwrap();
    let seed = 2_026;
    println!("seed {seed}");
    let dice = stanchion_resilience::Dice::seeded(seed);
    for _ in 0..40 {
        host.takes(dice.within(Duration::from_millis(12)));
        let calls = (0..6).map(|nth| {
            let patience = dice.within(Duration::from_millis(25));
            let client = &client;
            timeout(patience, async move {
                if nth % 3 == 0 {
                    // A body that nobody reads to its end.
                    let _ = client.get("/").stream().await;
                } else {
                    let _ = client.get("/").send().await;
                }
            })
        });
        let _ = futures_util::future::join_all(calls).await;
        let bulkhead = client.policy().bulkhead().unwrap();
        assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
    }
    host.takes(Duration::ZERO);
    assert!(
        metrics
            .encode()
            .contains("stanchion_client_streams{dependency=\"stub\"} 0")
    );
    // All four connections can be had again, at once.
    host.takes(Duration::from_millis(50));
    let calls = (0..4).map(|_| client.get("/").send());
    let begun = Instant::now();
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }
    assert!(
        begun.elapsed() < Duration::from_millis(700),
        "{:?}",
        begun.elapsed()
    );
    eventually("nothing is left of the others", || host.running() == 0).await;
}
