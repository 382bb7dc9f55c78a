//! What every rate limit by key must do.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stanchion_runtime::task;
use tokio::time::Instant;

use super::{Case, cases, run_all};

/// A limit as the suite sees it.
#[async_trait]
pub trait Limit: Send + Sync {
    /// Takes `cost` calls of `key` out, or gives the wait until they would pass.
    async fn check(&self, key: &str, cost: u32) -> Result<(), Duration>;
}

type Subject = Arc<dyn Limit>;

/// Calls a second that the suite's limit allows each key: slow enough that a loaded machine earns few by waiting.
pub const PER_SECOND: f64 = 5.0;
/// Calls at once.
pub const BURST: u32 = 10;

/// What earns one call.
const CALL: Duration = Duration::from_millis(200);

const CASES: &[Case<Subject>] = cases![
    a_burst_passes_and_then_the_rate,
    a_refusal_says_when_it_would_pass,
    what_is_refused_costs_nothing,
    keys_do_not_touch_each_other,
    a_call_may_cost_more_than_one,
    a_cost_above_the_burst_never_passes,
    a_pause_earns_no_more_than_the_burst,
    of_calls_that_race_no_more_pass_than_may,
    over_time_no_more_pass_than_burst_and_rate,
];

/// Runs every case, each on a fresh limit of [`PER_SECOND`] and [`BURST`].
///
/// # Panics
/// At the first case that fails.
pub async fn run(fresh: impl AsyncFn() -> Subject) {
    run_all("rate limit", CASES, fresh).await;
}

/// How many of `calls` pass, one after the other, and the most that may: what the time they took has earned is added.
async fn passed(limit: &Subject, key: &str, calls: u32) -> (u32, u32) {
    let begun = Instant::now();
    let mut passed = 0;
    for _ in 0..calls {
        passed += u32::from(limit.check(key, 1).await.is_ok());
    }
    (passed, BURST + earned(begun))
}

fn earned(since: Instant) -> u32 {
    (since.elapsed().as_secs_f64() * PER_SECOND).ceil() as u32
}

async fn a_burst_passes_and_then_the_rate(limit: Subject) {
    let (passed, most) = passed(&limit, "ann", 40).await;
    assert!(
        (BURST..=most).contains(&passed),
        "{passed} of at most {most}"
    );
    tokio::time::sleep(CALL * 2).await;
    assert_eq!(limit.check("ann", 1).await, Ok(()));
}

async fn a_refusal_says_when_it_would_pass(limit: Subject) {
    assert_eq!(limit.check("ann", BURST).await, Ok(()));
    // So many that none of them is earned while a busy machine comes to ask.
    let half = BURST / 2;
    let wait = limit.check("ann", half).await.unwrap_err();
    assert!(wait > Duration::ZERO && wait <= CALL * half, "{wait:?}");
    tokio::time::sleep(wait + Duration::from_millis(2)).await;
    assert_eq!(limit.check("ann", half).await, Ok(()));
}

async fn what_is_refused_costs_nothing(limit: Subject) {
    assert_eq!(limit.check("ann", BURST).await, Ok(()));
    for _ in 0..100 {
        // Were they counted, the wait would grow with each.
        if let Err(wait) = limit.check("ann", 1).await {
            assert!(wait <= CALL, "{wait:?}");
        }
    }
    tokio::time::sleep(CALL).await;
    assert_eq!(limit.check("ann", 1).await, Ok(()));
}

async fn keys_do_not_touch_each_other(limit: Subject) {
    assert_eq!(limit.check("ann", BURST).await, Ok(()));
    for other in ["bob", "an", "anne", "ann:", "", "ann\n", "änn"] {
        assert_eq!(limit.check(other, BURST).await, Ok(()), "{other:?}");
    }
    assert!(limit.check("ann", BURST).await.is_err());
}

async fn a_call_may_cost_more_than_one(limit: Subject) {
    for _ in 0..BURST / 5 {
        assert_eq!(limit.check("ann", 5).await, Ok(()));
    }
    assert!(limit.check("ann", 5).await.is_err());
}

async fn a_cost_above_the_burst_never_passes(limit: Subject) {
    for cost in [BURST + 1, u32::MAX] {
        assert!(limit.check("ann", cost).await.is_err(), "{cost}");
    }
    assert_eq!(limit.check("ann", BURST).await, Ok(()));
}

async fn a_pause_earns_no_more_than_the_burst(limit: Subject) {
    assert_eq!(limit.check("ann", BURST).await, Ok(()));
    tokio::time::sleep(CALL * BURST + CALL * 2).await;
    let (passed, most) = passed(&limit, "ann", 40).await;
    assert!(
        (BURST..=most).contains(&passed),
        "{passed} of at most {most}"
    );
}

async fn of_calls_that_race_no_more_pass_than_may(limit: Subject) {
    let begun = Instant::now();
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let limit = limit.clone();
            task::spawn("call", async move { limit.check("ann", 1).await.is_ok() })
        })
        .collect();
    let mut passed = 0;
    for call in calls {
        passed += u32::from(call.await.unwrap());
    }
    let most = BURST + earned(begun);
    assert!(
        (BURST..=most).contains(&passed),
        "{passed} of at most {most}"
    );
}

async fn over_time_no_more_pass_than_burst_and_rate(limit: Subject) {
    let (begun, mut passed) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(2) {
        passed += u32::from(limit.check("ann", 1).await.is_ok());
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    let (least, most) = (BURST + 8, BURST + earned(begun));
    assert!(
        (least..=most).contains(&passed),
        "{passed}, not {least} to {most}"
    );
}
