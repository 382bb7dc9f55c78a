//! Given, when, then, in paused time; and on real threads.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::time::{sleep, timeout};
use tower::{Layer, ServiceExt, service_fn};

use super::*;

type Prices = SingleFlight<u8, u32, &'static str>;

/// Loads in 200 ms, and counts.
fn load(loads: &Arc<AtomicU32>) -> impl Future<Output = Result<u32, &'static str>> + Send + use<> {
    let loads = loads.clone();
    async move {
        sleep(Duration::from_millis(200)).await;
        Ok(loads.fetch_add(1, Ordering::Relaxed))
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_at_once_make_one_call_and_the_next_makes_another() {
    let (prices, loads) = (Prices::default(), Arc::default());
    let answers = join_all((0..1_000).map(|_| prices.call(1, || load(&loads)))).await;
    assert!(answers.iter().all(|answer| *answer == Ok(0)));
    assert_eq!(prices.call(1, || load(&loads)).await, Ok(1));
    assert!(prices.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_goes_away_hands_over() {
    let (prices, loads) = (Prices::default(), Arc::default());
    let leader = timeout(Duration::from_millis(100), prices.call(1, || load(&loads)));
    let (leader, follower) = tokio::join!(leader, prices.call(1, || load(&loads)));
    assert!(leader.is_err());
    assert_eq!(follower, Ok(0));
    assert_eq!(loads.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_and_a_panic_reach_everybody_without_a_second_call() {
    let prices = Prices::default();
    let failed = join_all((0..10).map(|_| prices.call(1, || async { Err("down") }))).await;
    let down = FlightFailed::Failed(Arc::new("down"));
    assert!(failed.iter().all(|answer| *answer == Err(down.clone())));
    let panicked = join_all((0..10).map(|_| prices.call(1, || async { panic!("a bug") }))).await;
    let bug = FlightFailed::Panicked("a bug".into());
    assert!(panicked.iter().all(|answer| *answer == Err(bug.clone())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_flight_is_left_over_under_random_cancellation(
        calls in proptest::collection::vec((0..4_u8, 0..300_u64, 0..400_u64), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (prices, loads) = (Prices::default(), Arc::default());
            let calls = calls.iter().map(|(key, begin, patience)| {
                let (prices, loads) = (&prices, &loads);
                async move {
                    sleep(Duration::from_millis(*begin)).await;
                    let answer = timeout(Duration::from_millis(*patience), prices.call(*key, || load(loads))).await;
                    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.is_ok()));
                    assert!(prices.len() <= 4);
                }
            });
            join_all(calls).await;
            assert!(prices.is_empty());
        });
    }
}

#[tokio::test(start_paused = true)]
async fn the_layer_and_the_function_join_the_same_flight() {
    let (prices, loads) = (Prices::default(), Arc::default());
    let counted: Arc<AtomicU32> = Arc::clone(&loads);
    let service = prices
        .layer(|key: &u8| *key)
        .layer(service_fn(move |_key: u8| load(&counted)));
    let asked = join_all((0..100).map(|_| service.clone().oneshot(1)));
    let (answers, own) = tokio::join!(asked, prices.call(1, || load(&loads)));
    assert!(answers.iter().chain([&own]).all(|answer| *answer == Ok(0)));
    assert_eq!(loads.load(Ordering::Relaxed), 1);
    assert!(prices.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_load_may_itself_ask_for_another_key_while_it_is_made() {
    let prices = Prices::default();
    let outer = prices.call(1, || {
        let inner = prices.clone();
        let joined = futures_util::FutureExt::now_or_never(inner.call(2, || async { Ok(2) }));
        async move { joined.unwrap().map_err(|_| "failed") }
    });
    assert_eq!(outer.await, Ok(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_no_two_calls_of_a_key_run_at_a_time() {
    let prices = Prices::default();
    let inside: Arc<[AtomicU32; 4]> = Arc::default();
    let calls = (0..2_000_u32).map(|call| {
        let (prices, inside) = (prices.clone(), inside.clone());
        stanchion_runtime::task::spawn("call", async move {
            let key = (call % 4) as u8;
            let load = || async move {
                let slot = &inside[usize::from(key)];
                assert_eq!(slot.fetch_add(1, Ordering::SeqCst), 0, "two at a time");
                tokio::task::yield_now().await;
                slot.fetch_sub(1, Ordering::SeqCst);
                Ok(call)
            };
            prices.call(key, load).await.unwrap();
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert!(prices.is_empty());
}
