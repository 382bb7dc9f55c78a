//! Retry storms and flapping dependencies, in virtual time.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_resilience::breaker::{Breaker, BreakerSettings, Change, State, Verdict};
use stanchion_resilience::policy::{Judge, Policy, PolicySettings};
use stanchion_resilience::retry::{Retryable, Terms};
use stanchion_resilience::{Dice, Failure, Moment};
use stanchion_runtime::task;
use stanchion_telemetry::Metrics;
use tokio::time::sleep;

/// What a tier says to the tier above: down, and whether it has sent the call again itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Down {
    was_retried: bool,
}

/// Who gets an error from a tier that retries does not retry it again (`grpc-retry-pushback-ms: -1`).
struct OneTier;

impl Judge<(), Down> for OneTier {
    fn verdict(&self, result: &Result<(), Down>) -> Verdict {
        Verdict::of(result)
    }

    fn retryable(&self, error: &Down) -> Retryable {
        if error.was_retried {
            Retryable::Never
        } else {
            Retryable::unknown()
        }
    }
}

/// Every tier for itself, as if the others were not there.
struct EachTier;

impl Judge<(), Down> for EachTier {
    fn verdict(&self, result: &Result<(), Down>) -> Verdict {
        Verdict::of(result)
    }

    fn retryable(&self, _: &Down) -> Retryable {
        Retryable::unknown()
    }
}

fn tier(name: &str, seed: u64, change: fn(&mut PolicySettings)) -> Policy {
    let mut settings = PolicySettings {
        // The worst case: nothing but the budget holds the retries back.
        breaker_on: false,
        bulkhead_on: false,
        hedge_on: false,
        ..PolicySettings::default()
    };
    change(&mut settings);
    Policy::with(name, &settings, &Metrics::default(), &Dice::seeded(seed))
}

/// 200 calls a second for a minute through three tiers to a dependency that is down: calls it got for each of ours.
async fn amplification<J: Judge<(), Down> + 'static>(
    seed: u64,
    judge: fn() -> J,
    change: fn(&mut PolicySettings),
) -> f64 {
    const CALLS: u32 = 12_000;
    let tiers = Arc::new([1, 2, 3].map(|tier_| tier("below", seed * 3 + tier_, change)));
    let reached = Arc::new(Mutex::new(0_u32));
    for _ in 0..CALLS {
        let (tiers, reached) = (tiers.clone(), reached.clone());
        drop(task::spawn("call", async move {
            let [outer, middle, inner] = &*tiers;
            let judge = judge();
            let down = |_| async {
                *reached.lock() += 1;
                Err::<(), _>(Down { was_retried: false })
            };
            let up = |error: stanchion_resilience::policy::PolicyError<Down>| Down {
                was_retried: matches!(error.last, Failure::Remote(_)),
            };
            let through_inner =
                |_| async { inner.call(Terms::read(), &judge, down).await.map_err(up) };
            let through_middle = |_| async {
                middle
                    .call(Terms::read(), &judge, through_inner)
                    .await
                    .map_err(up)
            };
            let _ = outer.call(Terms::read(), &judge, through_middle).await;
        }));
        sleep(Duration::from_millis(5)).await;
    }
    sleep(Duration::from_secs(60)).await;
    let reached = *reached.lock();
    f64::from(reached) / f64::from(CALLS)
}

#[tokio::test(start_paused = true)]
async fn a_full_outage_below_three_tiers_is_amplified_by_a_seventh_at_most() {
    for seed in 0..3 {
        let times = amplification(seed, || OneTier, |_| ()).await;
        println!("seed {seed}: amplification {times}");
        assert!(times > 1.05, "seed {seed}: there are retries: {times}");
        assert!(times <= 1.15, "seed {seed}: {times}");
    }
}

#[tokio::test(start_paused = true)]
async fn even_three_retrying_tiers_stay_far_below_twenty_seven_times() {
    let times = amplification(1, || EachTier, |_| ()).await;
    println!("amplification {times}");
    assert!(times > 1.15 && times <= 1.1_f64.powi(3) * 1.05, "{times}");
}

#[tokio::test(start_paused = true)]
async fn with_its_breakers_closed_off_an_outage_is_hardly_seen_below() {
    let times = amplification(1, || OneTier, |settings| settings.breaker_on = true).await;
    println!("amplification {times}");
    assert!(times < 0.05, "{times}");
}

/// Five minutes of 200 calls a second to a dependency that answers when `works` says so.
async fn changes(seed: u64, works: impl Fn(Duration, &Dice) -> bool) -> Vec<(Duration, Change)> {
    let dice = Dice::seeded(seed);
    let (begun, seen) = (Moment::now(), Arc::new(Mutex::new(Vec::new())));
    let told = seen.clone();
    let breaker = Breaker::builder("flapping", &BreakerSettings::default())
        .dice(dice.clone())
        .on_state_change(move |change| told.lock().push((Moment::now().since(begun), *change)))
        .build();
    let sent = Cell::new(0_u32);
    while Moment::now().since(begun) < Duration::from_secs(300) {
        let answer = works(Moment::now().since(begun), &dice);
        let _ = breaker
            .call(async {
                sent.set(sent.get() + 1);
                if answer { Ok(()) } else { Err(()) }
            })
            .await;
        sleep(Duration::from_millis(5)).await;
    }
    drop(breaker);
    seen.lock().clone()
}

#[tokio::test(start_paused = true)]
async fn a_flapping_dependency_never_makes_it_oscillate_faster_than_the_open_time() {
    type Works = fn(Duration, &Dice) -> bool;
    let half: Works = |_, dice| dice.share() < 0.5;
    let by_turns: Works = |at, _| at.as_millis() / 300 % 2 == 0;
    let mostly: Works = |_, dice| dice.share() < 0.6;
    for (seed, works) in (0..4).flat_map(|seed| [half, by_turns, mostly].map(|works| (seed, works)))
    {
        let changes = changes(seed, works).await;
        let opened: Vec<_> = changes
            .iter()
            .filter(|(_, change)| change.to == State::Open)
            .map(|(at, _)| *at)
            .collect();
        assert!(opened.len() > 1, "seed {seed}: it opens at all");
        for pair in opened.windows(2) {
            assert!(
                pair[1] - pair[0] >= Duration::from_secs(4),
                "seed {seed}: {pair:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_changes() {
    let half = |_: Duration, dice: &Dice| dice.share() < 0.5;
    assert_eq!(changes(7, half).await, changes(7, half).await);
}
