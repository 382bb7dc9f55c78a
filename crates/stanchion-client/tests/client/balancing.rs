//! Several hosts behind one name.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_client::{ClientSettings, Discovery, HttpClient, Reason};
use stanchion_resilience::Moment;
use stanchion_resilience::breaker::State;
use stanchion_resilience::deadline::Deadline;
use stanchion_telemetry::Metrics;

use super::host::{Host, eventually, of_all, quick};

#[tokio::test]
async fn of_two_hosts_the_failing_one_is_left_out_and_no_caller_notices() {
    let (bad, good) = (Host::start().await, Host::start().await);
    bad.status(500);
    let metrics = Metrics::default();
    let client = of_all(&[&bad, &good], &quick(), &metrics);
    for nth in 0..200 {
        let answer = client.get("/").send().await;
        assert!(answer.is_ok(), "call {nth}: {answer:?}");
    }
    assert!(bad.calls() <= 6, "{} calls to the failing one", bad.calls());
    assert_eq!(good.calls(), 200);
}

#[tokio::test]
async fn a_host_that_is_down_fails_to_its_neighbour_before_anything_is_sent() {
    let (down, good) = (Host::start().await, Host::start().await);
    let gone = down.address;
    drop(down);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let both = Discovery::fixed([gone, good.address]);
    let client = HttpClient::with_discovery(
        "stub",
        "http://stub.test",
        both,
        &quick(),
        &Metrics::default(),
    );
    let client = client.unwrap();
    for _ in 0..50 {
        // Not even a call that must not be repeated is lost: nothing of it was sent.
        client.post("/orders").json(&1).send().await.unwrap();
    }
    assert_eq!(good.calls(), 50);
}

#[tokio::test]
async fn the_slower_host_gets_fewer_calls() {
    let (slow, fast) = (Host::start().await, Host::start().await);
    slow.takes(Duration::from_millis(60));
    fast.takes(Duration::from_millis(2));
    let client = of_all(&[&slow, &fast], &quick(), &Metrics::default());
    for _ in 0..100 {
        client.get("/").send().await.unwrap();
    }
    assert!(slow.calls() < 20, "{} of 100", slow.calls());
}

/// Of an impatient caller neither breaker nor ejection learns anything.
#[tokio::test]
async fn whoever_has_little_time_gets_the_host_that_answers() {
    let (hangs, works) = (Host::start().await, Host::start().await);
    hangs.takes(Duration::from_secs(60));
    let mut settings = quick();
    settings.policy.retry_on = false;
    let client = of_all(&[&hangs, &works], &settings, &Metrics::default());
    for _ in 0..30 {
        let hasty = Deadline::after(Moment::now(), Duration::from_millis(200));
        let _answer = client.get("/").until(hasty).send().await;
    }
    assert!(hangs.calls() < 10, "{} of 30 in vain", hangs.calls());
}

/// 429 is about its caller, and neither breaker nor ejection counts it.
#[tokio::test]
async fn a_host_that_refuses_at_once_is_not_the_faster_one() {
    let (refuses, works) = (Host::start().await, Host::start().await);
    refuses.status(429);
    works.takes(Duration::from_millis(5));
    let mut settings = quick();
    settings.policy.retry_on = false;
    let client = of_all(&[&refuses, &works], &settings, &Metrics::default());
    for _ in 0..30 {
        let _answer = client.get("/").send().await;
    }
    assert!(refuses.calls() < 10, "{} of 30 refused", refuses.calls());
}

#[tokio::test]
async fn addresses_are_asked_for_again_and_those_of_before_count_while_nobody_answers() {
    let (one, other) = (Host::start().await, Host::start().await);
    let answer = Arc::new(Mutex::new(vec![one.address]));
    let asked = Arc::clone(&answer);
    let registry = Discovery::asking(move || {
        let now = asked.lock().clone();
        async move {
            if now.is_empty() {
                return Err(io::Error::other("the registry is away"));
            }
            Ok(now)
        }
    });
    let settings = ClientSettings {
        lookup_every: Duration::from_millis(100),
        ..quick()
    };
    let metrics = Metrics::default();
    let client =
        HttpClient::with_discovery("stub", "http://stub.test", registry, &settings, &metrics);
    let client = client.unwrap();
    client.get("/").send().await.unwrap();
    answer.lock().clear();
    eventually("the registry was asked in vain", || {
        metrics
            .encode()
            .contains("stanchion_client_lookups_total{dependency=\"stub\",outcome=\"failed\"}")
    })
    .await;
    client.get("/").send().await.unwrap();
    assert_eq!((one.calls(), other.calls()), (2, 0));

    *answer.lock() = vec![other.address];
    for _ in 0..100 {
        client.get("/").send().await.unwrap();
        if other.calls() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = one.calls();
    for _ in 0..20 {
        client.get("/").send().await.unwrap();
    }
    assert_eq!(one.calls(), before, "the host that left gets nothing");
}

/// Where all hosts were replaced at once, half a minute would pass until the next look.
#[tokio::test]
async fn addresses_are_asked_for_again_when_a_host_cannot_be_reached() {
    let (down, moved) = (Host::start().await, Host::start().await);
    let answer = Arc::new(Mutex::new(vec![down.address]));
    drop(down);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let asked = Arc::clone(&answer);
    let registry = Discovery::asking(move || {
        let now = asked.lock().clone();
        async move { Ok(now) }
    });
    let mut settings = quick();
    settings.policy.retry_on = false;
    let metrics = Metrics::default();
    let client =
        HttpClient::with_discovery("stub", "http://stub.test", registry, &settings, &metrics);
    let client = client.unwrap();
    client.get("/").send().await.unwrap_err();
    *answer.lock() = vec![moved.address];
    let began = tokio::time::Instant::now();
    while client.get("/").send().await.is_err() {
        let waited = began.elapsed();
        assert!(waited < Duration::from_secs(10), "never asked again");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(moved.calls(), 1);
}

#[tokio::test]
async fn a_name_is_looked_up() {
    let host = Host::start().await;
    let url = format!("http://localhost:{}", host.address.port());
    let metrics = Metrics::default();
    let client = HttpClient::new("stub", &url, &quick(), &metrics).unwrap();
    client.get("/").send().await.unwrap();
    assert!(
        metrics
            .encode()
            .contains("stanchion_client_lookups_total{dependency=\"stub\",outcome=\"ok\"} 1")
    );
    let head = &host.heads()[0];
    assert_eq!(head["host"], format!("localhost:{}", host.address.port()));
}

#[tokio::test]
async fn a_registry_that_hangs_costs_no_more_than_connecting_may_take() {
    let silent = Discovery::asking(std::future::pending);
    let mut settings = quick();
    settings.connect_timeout = Duration::from_millis(100);
    settings.policy.retry_on = false;
    let client = HttpClient::with_discovery(
        "stub",
        "http://stub.test",
        silent,
        &settings,
        &Metrics::default(),
    );
    let error = client.unwrap().post("/").send().await.unwrap_err();
    assert!(
        matches!(error.reason(), Reason::Connect(_)) && error.had_no_effect(),
        "{error}"
    );
}

/// Nor does it take its caller with it.
#[tokio::test]
async fn a_registry_that_panicked_once_is_asked_again() {
    let host = Host::start().await;
    let (address, asked) = (host.address, AtomicUsize::new(0));
    let registry = Discovery::asking(move || {
        assert!(asked.fetch_add(1, Ordering::SeqCst) > 0, "it is broken");
        async move { Ok(vec![address]) }
    });
    let mut settings = quick();
    settings.policy.retry_on = false;
    let metrics = Metrics::default();
    let client =
        HttpClient::with_discovery("stub", "http://stub.test", registry, &settings, &metrics);
    let client = client.unwrap();
    let error = client.get("/").send().await.unwrap_err();
    assert!(matches!(error.reason(), Reason::Connect(_)), "{error}");
    client.get("/").send().await.unwrap();
}

/// Whatever became of the question, the next one is asked.
#[tokio::test]
async fn a_registry_that_never_answered_once_is_asked_again() {
    let (one, other) = (Host::start().await, Host::start().await);
    let asked = Arc::new(AtomicUsize::new(0));
    let (questions, first, last) = (Arc::clone(&asked), one.address, other.address);
    let registry = Discovery::asking(move || {
        let question = questions.fetch_add(1, Ordering::SeqCst);
        async move {
            match question {
                1 => Ok(vec![first]),
                // The first, before anything is known, and the third.
                0 | 2 => std::future::pending().await,
                _ => Ok(vec![last]),
            }
        }
    });
    let mut settings = quick();
    settings.connect_timeout = Duration::from_millis(100);
    settings.lookup_every = Duration::from_millis(100);
    let metrics = Metrics::default();
    let client =
        HttpClient::with_discovery("stub", "http://stub.test", registry, &settings, &metrics);
    let client = client.unwrap();
    for host in [&one, &other] {
        let began = tokio::time::Instant::now();
        while host.calls() == 0 {
            // Before there is an address, and while the breaker hears of that, it may fail.
            let _answer = client.get("/").send().await;
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "never asked again"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(asked.load(Ordering::SeqCst) > 3);
}

#[tokio::test]
async fn who_has_hardly_any_time_does_not_take_a_host_from_the_others() {
    let (one, other) = (Host::start().await, Host::start().await);
    for host in [&one, &other] {
        host.takes(Duration::from_secs(60));
    }
    let metrics = Metrics::default();
    let mut settings = quick();
    settings.policy.retry_on = false;
    let client = of_all(&[&one, &other], &settings, &metrics);
    for _ in 0..30 {
        let hasty = Deadline::after(Moment::now(), Duration::from_millis(30));
        client.get("/").until(hasty).send().await.unwrap_err();
    }
    let text = metrics.encode();
    assert!(
        text.contains("stanchion_client_hosts_ejected{dependency=\"stub\"} 0"),
        "{text}"
    );
    assert!(
        text.contains("stanchion_client_attempts_total{dependency=\"stub\",outcome=\"timed_out\"}"),
        "{text}"
    );
    assert_eq!(client.policy().breaker().unwrap().state(), State::Closed);
}
