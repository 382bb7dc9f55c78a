//! Given, when, then, and the algorithm against its model.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn settings(per_second: f64, burst: u32, keys_max: usize) -> RateSettings {
    RateSettings {
        per_second,
        burst,
        keys_max,
    }
}

fn at(millis: u64) -> Moment {
    Moment::START + Duration::from_secs(1_000) + Duration::from_millis(millis)
}

fn passed(rate: &KeyedRate<String>, key: &str, calls: u32, now: Moment) -> usize {
    (0..calls)
        .filter(|_| rate.check(key, now, 1).is_ok())
        .count()
}

#[test]
fn a_burst_passes_and_then_the_rate() {
    let rate = KeyedRate::new(&settings(10.0, 5, 100));
    assert_eq!(passed(&rate, "ann", 100, at(0)), 5);
    assert_eq!(passed(&rate, "ann", 100, at(99)), 0);
    assert_eq!(passed(&rate, "ann", 100, at(100)), 1);
    assert_eq!(
        passed(&rate, "ann", 100, at(1_100)),
        5,
        "never more than the burst"
    );
}

#[test]
fn keys_do_not_touch_each_other() {
    let rate = KeyedRate::new(&settings(10.0, 5, 1_000));
    for user in 0..100 {
        assert_eq!(passed(&rate, &user.to_string(), 10, at(0)), 5);
    }
    assert_eq!(rate.keys(), 100);
}

#[test]
fn the_refusal_says_exactly_when_it_would_pass() {
    let rate = KeyedRate::new(&settings(10.0, 5, 100));
    rate.check("ann", at(0), 4).unwrap();
    let refused = rate.check("ann", at(0), 3).unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_millis(200)));
    assert!(rate.check("ann", at(199), 3).is_err());
    assert!(rate.check("ann", at(200), 3).is_ok());
}

#[test]
fn a_refused_call_costs_nothing() {
    let rate = KeyedRate::new(&settings(10.0, 5, 100));
    assert!(
        rate.check("ann", at(0), 6).is_err(),
        "more than the burst never passes"
    );
    assert_eq!(passed(&rate, "ann", 10, at(0)), 5);
}

#[test]
fn invented_keys_share_one_limit_and_memory_stays_bounded() {
    let rate = KeyedRate::new(&settings(1.0, 1, 64));
    assert!(rate.check("known", at(0), 1).is_ok());
    let flood =
        (0..100_000).filter(|key: &u32| rate.check(&key.to_string() as &str, at(1), 1).is_ok());
    let flood = flood.count();
    assert!(
        flood <= 65,
        "{flood} strangers passed: a table full and one"
    );
    assert!(rate.keys() <= 64);
    assert!(
        rate.check("known", at(1_000), 1).is_ok(),
        "who was there keeps its limit"
    );
}

#[test]
fn keys_that_say_nothing_any_more_make_room() {
    let rate = KeyedRate::new(&settings(10.0, 5, 64));
    for round in 0..50 {
        let now = at(round * 1_000);
        let strangers = (0..32).filter(|key| {
            rate.check(&format!("{round}/{key}") as &str, now, 1)
                .is_ok()
        });
        assert!(strangers.count() >= 20, "round {round}");
        assert!(rate.keys() <= 64);
    }
}

#[test]
fn a_clock_that_stands_still_or_begins_at_zero_does_no_harm() {
    let rate = Rate::new(&settings(10.0, 5, 1));
    assert_eq!(
        (0..10)
            .filter(|_| rate.check(Moment::START, 1).is_ok())
            .count(),
        5
    );
    assert_eq!(rate.left(Moment::START), 0);
}

#[tokio::test(start_paused = true)]
async fn the_function_and_the_layer_share_the_limit() {
    use tower::{Layer, ServiceExt, service_fn};

    let rate = Rate::new(&settings(10.0, 2, 1));
    let service = rate
        .layer()
        .layer(service_fn(|()| async { Ok::<_, ()>(()) }));
    assert!(service.clone().oneshot(()).await.is_ok());
    assert!(rate.call(async { Ok::<_, ()>(()) }).await.is_ok());
    let refused = service
        .clone()
        .oneshot(())
        .await
        .unwrap_err()
        .refusal()
        .unwrap();
    tokio::time::advance(refused.retry_after().unwrap()).await;
    assert!(service.oneshot(()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_keyed_layer_asks_each_request_for_its_key_and_cost() {
    use tower::{Layer, ServiceExt, service_fn};

    let rate = KeyedRate::<String>::new(&settings(10.0, 5, 100));
    let of = |request: &(&str, u32)| (request.0.to_owned(), request.1);
    let service = rate
        .layer(of)
        .layer(service_fn(|_: (&str, u32)| async { Ok::<_, ()>(()) }));
    assert!(service.clone().oneshot(("ann", 4)).await.is_ok());
    assert!(rate.call("ann", async { Ok::<_, ()>(()) }).await.is_ok());
    let refused = service.clone().oneshot(("ann", 1)).await.unwrap_err();
    assert_eq!(
        refused.refusal().unwrap().retry_after(),
        Some(Duration::from_millis(100))
    );
    assert!(service.oneshot(("bob", 5)).await.is_ok());
}

proptest! {
    /// In no stretch of time does a key pass more than the burst and what the rate earned.
    #[test]
    fn no_key_passes_more_than_its_rate(
        calls in proptest::collection::vec((0..4_u8, 0..300_u64, 1..4_u32), 1..300),
    ) {
        let rate = KeyedRate::new(&settings(10.0, 5, 1_000));
        let (mut now, mut passed) = (0, HashMap::<u8, Vec<(u64, u32)>>::new());
        for (key, wait, cost) in calls {
            now += wait;
            if rate.check(&key.to_string() as &str, at(now), cost).is_ok() {
                passed.entry(key).or_default().push((now, cost));
            }
        }
        for calls in passed.values() {
            for (first, (begin, _)) in calls.iter().enumerate() {
                let mut sum = 0;
                for (end, cost) in &calls[first..] {
                    sum += cost;
                    prop_assert!(f64::from(sum) <= 5.0 + (end - begin) as f64 / 100.0 + 1e-9);
                }
            }
        }
    }
}
