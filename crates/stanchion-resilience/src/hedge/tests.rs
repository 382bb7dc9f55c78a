//! Given, when, then, in paused time.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};

use super::*;
use crate::Dice;

const MS: Duration = Duration::from_millis(1);

/// A hedge that has seen a hundred calls of 10 to 20 ms, and has its share saved up.
async fn given() -> Hedge {
    let hedge = Hedge::new(&HedgeSettings::default());
    for call in 0..100 {
        hedge.share.deposit(Moment::now());
        hedge.learn(10 * MS + MS * (call % 11));
    }
    hedge
}

async fn slow_then_fast(which: u32) -> Result<u32, &'static str> {
    sleep(if which == 1 { 1_000 * MS } else { 5 * MS }).await;
    Ok(which)
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_gets_a_second_try_after_the_percentile() {
    let hedge = given().await;
    assert_eq!(hedge.wait(), Some(20 * MS));
    let begun = Moment::now();
    assert_eq!(hedge.call(slow_then_fast).await, Ok(2));
    let took = Moment::now().since(begun);
    assert!(took >= 25 * MS && took <= 27 * MS, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_loser_is_cancelled() {
    struct Dropped<'c>(&'c AtomicU32);
    impl Drop for Dropped<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (hedge, dropped) = (given().await, AtomicU32::new(0));
    let call = |which| {
        let guard = Dropped(&dropped);
        async move {
            let _guard = guard;
            slow_then_fast(which).await
        }
    };
    assert_eq!(hedge.call(call).await, Ok(2));
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_hedged_before_the_latency_is_known() {
    let hedge = Hedge::new(&HedgeSettings::default());
    assert_eq!(hedge.wait(), None);
    assert_eq!(hedge.call(slow_then_fast).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn second_tries_are_at_most_the_share_even_when_all_calls_are_slow() {
    let (hedge, tries) = (Hedge::new(&HedgeSettings::default()), AtomicU32::new(0));
    let dice = Dice::seeded(1);
    for call in 0..2_000 {
        let answer = hedge.call(|_| {
            tries.fetch_add(1, Ordering::Relaxed);
            // Ever slower, so that each is beyond the percentile of those before.
            sleep_ok(dice.within(MS) + MS * call)
        });
        answer.await.unwrap();
    }
    let extra = tries.into_inner() - 2_000;
    assert!((50..=104).contains(&extra), "{extra} of 2,000");
}

async fn sleep_ok(span: Duration) -> Result<(), ()> {
    sleep(span).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_empty_retry_budget_stops_hedges_too() {
    let budget = Budget::empty(&BudgetSettings::default(), Moment::now());
    let hedge = given().await.paid_by(budget);
    assert_eq!(hedge.call(slow_then_fast).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_try_that_the_retry_budget_does_not_pay_costs_the_share_nothing() {
    let (hedge, now) = (given().await, Moment::now());
    let saved = hedge.share.left(now);
    let empty = Budget::empty(&BudgetSettings::default(), now);
    let in_an_outage = hedge.clone().paid_by(empty);
    assert!((0..100).all(|_| !in_an_outage.spend(now)));
    assert_eq!(hedge.share.left(now), saved);
    assert!(hedge.spend(now), "and the next one is paid");
}

#[tokio::test(start_paused = true)]
async fn an_error_waits_for_the_other_try() {
    let hedge = given().await;
    let second_fails = |which| async move {
        slow_then_fast(which).await?;
        if which == 2 { Err("reset") } else { Ok(which) }
    };
    assert_eq!(hedge.call(second_fails).await, Ok(1));
    let quick_error = |_| async { Err::<u32, _>("reset") };
    assert_eq!(hedge.call(quick_error).await, Err("reset"));
}

#[tokio::test(start_paused = true)]
async fn the_layer_hedges_a_service() {
    let (hedge, calls) = (given().await, Arc::new(AtomicU32::new(0)));
    let counted = calls.clone();
    let service = hedge.layer().layer(service_fn(move |()| {
        slow_then_fast(counted.fetch_add(1, Ordering::Relaxed) + 1)
    }));
    assert_eq!(service.oneshot(()).await, Ok(2));
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}
