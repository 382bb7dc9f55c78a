use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use stanchion::resilience::Refusal;

use super::*;

#[tokio::test(start_paused = true)]
async fn every_limit_is_in_the_gauge() {
    let metrics = Metrics::default();
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let counting = Counting {
        signer: Arc::new(Signer::new(&secret).unwrap()),
        replicas: 1,
        shared: &|_, _| None,
        metrics: &metrics,
    };
    let settings = AttemptSettings {
        keys_max: 100,
        ..AttemptSettings::default()
    };
    let attempts = Attempts::new(&settings, &counting);
    let address = Some("203.0.113.1".parse().unwrap());
    drop(attempts.token(address).await.unwrap());
    attempts.wrong_token("robot").await.unwrap();
    attempts.reset(address, "ada@example.com").await.unwrap();
    let text = metrics.encode();
    for line in ["identity_attempt_keys 4", "identity_attempt_keys_max 1300"] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

/// A limit that all share, and how often somebody looked how much it remembers.
#[derive(Debug)]
struct LookedThrough {
    limit: KeyedRate<String>,
    times: Arc<AtomicUsize>,
}

impl KeyLimit for LookedThrough {
    fn take<'a>(&'a self, key: &'a str, cost: u32) -> BoxFuture<'a, Result<(), Refusal>> {
        self.limit.take(key, cost)
    }

    fn give_back<'a>(&'a self, key: &'a str, cost: u32) -> BoxFuture<'a, ()> {
        KeyLimit::give_back(&self.limit, key, cost)
    }

    fn quota(&self) -> RateSettings {
        self.limit.settings()
    }

    fn keys(&self) -> usize {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.limit.keys()
    }
}

#[tokio::test(start_paused = true)]
async fn to_count_an_attempt_is_not_to_look_through_all_that_is_remembered() {
    let (metrics, times) = (Metrics::default(), Arc::new(AtomicUsize::new(0)));
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let counting = Counting {
        signer: Arc::new(Signer::new(&secret).unwrap()),
        replicas: 1,
        shared: &|_, rate| {
            let (limit, times) = (KeyedRate::new(rate), Arc::clone(&times));
            let limit: Arc<dyn KeyLimit> = Arc::new(LookedThrough { limit, times });
            Some(limit)
        },
        metrics: &metrics,
    };
    let attempts = Attempts::new(&AttemptSettings::default(), &counting);
    for last in 0..100 {
        let client = from(&format!("203.0.113.{last}"));
        guesses(&attempts, &format!("user{last}"), &client, None, 1).await;
        attempts
            .wrong_from(client.address().and_then(|text| text.parse().ok()))
            .await
            .unwrap();
    }
    assert_eq!(times.load(Ordering::Relaxed), 0);
    let told = |line: &str| metrics.encode().lines().any(|told| told == line);
    // Addresses, names and their series, once for logins and twice for tokens; and all together.
    assert!(told("identity_attempt_keys 501"), "{}", metrics.encode());
    assert_eq!(times.load(Ordering::Relaxed), settings::LIMITS);
    drop(attempts);
    assert!(
        told("identity_attempt_keys 0"),
        "nothing is kept for the metrics: {}",
        metrics.encode()
    );
}
