use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use stanchion::auth::secret::Signer;
use stanchion::resilience::Refusal;
use stanchion::resilience::rate::{KeyLimit, KeyedRate, RateSettings};
use stanchion::telemetry::Metrics;

use super::*;
use crate::application::{AttemptSettings, Counting};

/// A counter that all share, and how often it was asked.
#[derive(Debug, Clone)]
struct Asked {
    counter: KeyedRate<String>,
    times: Arc<AtomicUsize>,
}

impl KeyLimit for Asked {
    fn take<'a>(&'a self, key: &'a str, cost: u32) -> BoxFuture<'a, Result<(), Refusal>> {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.counter.take(key, cost)
    }

    fn give_back<'a>(&'a self, key: &'a str, cost: u32) -> BoxFuture<'a, ()> {
        self.times.fetch_add(1, Ordering::Relaxed);
        KeyLimit::give_back(&self.counter, key, cost)
    }

    fn quota(&self) -> RateSettings {
        self.counter.settings()
    }

    fn keys(&self) -> usize {
        self.counter.keys()
    }
}

const BURST: u32 = 5;

fn settings() -> AttemptSettings {
    AttemptSettings {
        token_burst: BURST,
        token_every: Duration::from_secs(10),
        keys_max: 100,
        ..AttemptSettings::default()
    }
}

/// Two processes that count together, and how often they asked the counter.
fn two_processes() -> ([Attempts; 2], Arc<AtomicUsize>) {
    let times = Arc::new(AtomicUsize::new(0));
    let rate = super::super::rate(BURST, settings().token_every, settings().keys_max);
    let asked = Asked {
        counter: KeyedRate::new(&rate),
        times: Arc::clone(&times),
    };
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let counting = Counting {
        signer: Arc::new(Signer::new(&secret).unwrap()),
        replicas: 1,
        shared: &|name, _| {
            let shared = name == "token";
            shared.then(|| Arc::new(asked.clone()) as Arc<dyn KeyLimit>)
        },
        metrics: &Metrics::default(),
    };
    let process = || Attempts::new(&settings(), &counting);
    ([process(), process()], times)
}

fn address(last: u8) -> Option<IpAddr> {
    Some(IpAddr::from([203, 0, 113, last]))
}

async fn wrong(attempts: &Attempts, from: Option<IpAddr>) -> Result<(), Failure> {
    attempts.token(from).await?.was_wrong().await
}

#[tokio::test(start_paused = true)]
async fn what_is_right_asks_no_counter_as_long_as_nothing_was_wrong() {
    let ([one, _], times) = two_processes();
    for _ in 0..1_000 {
        one.token(address(1)).await.unwrap().was_right().await;
    }
    assert_eq!(times.load(Ordering::Relaxed), 0);
    wrong(&one, address(1)).await.unwrap();
    assert_eq!(times.load(Ordering::Relaxed), 1);
    // Counted before and given back; not so for others.
    one.token(address(1)).await.unwrap().was_right().await;
    one.token(address(2)).await.unwrap().was_right().await;
    assert_eq!(times.load(Ordering::Relaxed), 3);
    // The limit has forgotten it by now.
    tokio::time::advance(Duration::from_secs(50)).await;
    one.token(address(1)).await.unwrap().was_right().await;
    assert_eq!(times.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn beyond_the_burst_nothing_from_there_is_looked_at_any_more() {
    let ([one, other], _) = two_processes();
    for nth in 0..BURST {
        let process = [&one, &other][usize::from(nth % 2 == 1)];
        assert!(wrong(process, address(1)).await.is_ok(), "{nth}");
    }
    for process in [&one, &other] {
        assert!(process.token(address(1)).await.is_err());
        assert!(process.token(address(2)).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn many_at_once_are_all_counted_and_told_to_stop() {
    let ([one, other], _) = two_processes();
    let mut under_way = Vec::new();
    for _ in 0..20 {
        under_way.push(one.token(address(1)).await.unwrap());
    }
    let mut told = 0;
    for attempt in under_way {
        told += usize::from(attempt.was_wrong().await.is_ok());
    }
    assert_eq!(told, BURST as usize, "no more than one after the other");
    assert!(one.token(address(1)).await.is_err());
    // Where nothing was wrong yet one is looked at, and not answered.
    assert!(wrong(&other, address(1)).await.is_err());
    assert!(other.token(address(1)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn of_strangers_at_once_no_more_are_looked_at_than_may_be_wrong() {
    let ([one, _], _) = two_processes();
    let mut under_way = Vec::new();
    for _ in 0..20 {
        under_way.extend(one.stranger(address(1)).await.ok());
    }
    assert_eq!(under_way.len(), BURST as usize);
    for attempt in under_way {
        attempt.was_right().await;
    }
    assert!(one.stranger(address(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_before_the_answer_is_counted_from_then_on() {
    let ([one, _], times) = two_processes();
    drop(one.token(address(1)).await.unwrap());
    assert_eq!(times.load(Ordering::Relaxed), 0);
    for _ in 0..BURST {
        drop(one.token(address(1)).await.unwrap());
    }
    assert!(one.token(address(1)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn no_more_addresses_are_remembered_than_the_bound() {
    let ([one, _], _) = two_processes();
    for last in 0..=255 {
        let _ = wrong(&one, address(last)).await;
        let limits = one.0.as_ref().unwrap();
        assert!(limits.suspects.count() <= settings().keys_max);
    }
}
