//! Brownout: a dependency of 20 ms turns 2 s for a minute, then heals; 200 calls a second come all the time.
//!
//! The dependency has ten slots and goes on with work whose caller has gone, as real ones do. Time is virtual, chance
//! is seeded; a failing seed is printed and gives the same run again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_resilience::breaker::State;
use stanchion_resilience::policy::{EveryError, Policy, PolicySettings};
use stanchion_resilience::retry::Terms;
use stanchion_resilience::{Dice, Moment};
use stanchion_runtime::task;
use stanchion_telemetry::Metrics;
use tokio::sync::Semaphore;
use tokio::time::sleep;

const FAST: Duration = Duration::from_millis(20);
const SLOW: Duration = Duration::from_secs(2);
const WARM: Duration = Duration::from_secs(5);
const BROWN: Duration = Duration::from_secs(60);
const HEALED: Duration = Duration::from_secs(12);

/// Ten slots.
struct Dependency {
    slots: Semaphore,
    is_slow: Mutex<bool>,
    calls: AtomicU32,
}

impl Dependency {
    fn new() -> Arc<Self> {
        Arc::new(Dependency {
            slots: Semaphore::new(10),
            is_slow: Mutex::new(false),
            calls: AtomicU32::new(0),
        })
    }

    /// A call from outside: the work goes on when the caller drops this.
    async fn call(self: Arc<Self>) -> Result<(), ()> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let work = task::spawn("work", async move {
            let _slot = self.slots.acquire().await;
            let span = if *self.is_slow.lock() { SLOW } else { FAST };
            sleep(span).await;
        });
        work.await.map_err(|_| ())
    }
}

/// What a run showed; spans are counted from the beginning of the brownout, and of the healing.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    opened: Option<Duration>,
    sent: u32,
    closed: Option<Duration>,
    neighbour_failed: u32,
}

fn policy(name: &str, dice: &Dice) -> Policy {
    let settings = PolicySettings {
        timeout: Duration::from_millis(500),
        retry_on: false,
        hedge_on: false,
        ..PolicySettings::default()
    };
    Policy::with(name, &settings, &Metrics::default(), dice)
}

/// 200 calls a second on average, at random distances, until `end`; watches for the first state that `is_awaited`.
async fn load(
    policy: &Policy,
    dependency: &Arc<Dependency>,
    dice: &Dice,
    span: Duration,
    is_awaited: impl Fn(State) -> bool,
) -> (Option<Duration>, u32) {
    let (begun, failed) = (Moment::now(), Arc::new(AtomicU32::new(0)));
    let mut seen = None;
    while Moment::now().since(begun) < span {
        let (policy, dependency, failed) = (policy.clone(), dependency.clone(), failed.clone());
        let breaker = policy.breaker().expect("it is on").clone();
        drop(task::spawn("call", async move {
            let call = |_| dependency.clone().call();
            if policy.call(Terms::once(), &EveryError, call).await.is_err() {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }));
        // Exponential distances: a Poisson stream.
        sleep(Duration::from_secs_f64(-(1.0 - dice.share()).ln() / 200.0)).await;
        if seen.is_none() && is_awaited(breaker.state()) {
            seen = Some(Moment::now().since(begun));
        }
    }
    (seen, failed.load(Ordering::Relaxed))
}

async fn run(seed: u64) -> Seen {
    let dice = Dice::seeded(seed);
    let (policy, dependency) = (policy("brown", &dice), Dependency::new());
    let (neighbour, well) = (self::policy("well", &dice), Dependency::new());
    let dice_beside = Dice::seeded(seed ^ 1);
    let brown = async {
        load(&policy, &dependency, &dice, WARM, |_| false).await;
        *dependency.is_slow.lock() = true;
        let before = dependency.calls.load(Ordering::Relaxed);
        let (opened, _) = load(&policy, &dependency, &dice, BROWN, |state| {
            state == State::Open
        })
        .await;
        let sent = dependency.calls.load(Ordering::Relaxed) - before;
        *dependency.is_slow.lock() = false;
        let (closed, _) = load(&policy, &dependency, &dice, HEALED, |state| {
            state == State::Closed
        })
        .await;
        (opened, sent, closed)
    };
    let beside = load(
        &neighbour,
        &well,
        &dice_beside,
        Duration::from_secs(10),
        |_| false,
    );
    let ((opened, sent, closed), (_, neighbour_failed)) = tokio::join!(brown, beside);
    Seen {
        opened,
        sent,
        closed,
        neighbour_failed,
    }
}

fn simulated(seed: u64) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime is made");
    runtime.block_on(run(seed))
}

fn brownouts(seeds: std::ops::Range<u64>) {
    let mut worst = (Duration::ZERO, 0, Duration::ZERO);
    for seed in seeds {
        let seen = simulated(seed);
        let opened = seen.opened.unwrap_or(Duration::MAX);
        let closed = seen.closed.unwrap_or(Duration::MAX);
        assert!(
            opened <= Duration::from_millis(1_500),
            "seed {seed}: {seen:?}"
        );
        assert!(seen.sent <= 150, "seed {seed}: {seen:?}");
        assert!(closed <= Duration::from_secs(7), "seed {seed}: {seen:?}");
        assert_eq!(seen.neighbour_failed, 0, "seed {seed}: {seen:?}");
        worst = (
            worst.0.max(opened),
            worst.1.max(seen.sent),
            worst.2.max(closed),
        );
    }
    println!(
        "worst: opened after {:?}, {} sent, closed after {:?}",
        worst.0, worst.1, worst.2
    );
}

// Two hundred seeds in four tests, so that the runner can spread them.

#[test]
fn a_brownout_opens_in_time_sends_little_and_heals_soon_seeds_0_to_49() {
    brownouts(0..50);
}

#[test]
fn a_brownout_opens_in_time_sends_little_and_heals_soon_seeds_50_to_99() {
    brownouts(50..100);
}

#[test]
fn a_brownout_opens_in_time_sends_little_and_heals_soon_seeds_100_to_149() {
    brownouts(100..150);
}

#[test]
fn a_brownout_opens_in_time_sends_little_and_heals_soon_seeds_150_to_199() {
    brownouts(150..200);
}

#[test]
fn the_same_seed_gives_the_same_brownout() {
    assert_eq!(simulated(7), simulated(7));
}
