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
use stanchion_resilience::{Dice, Moment, Refusal};
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
    /// The longest that a call took which found the breaker open.
    refused_in: Duration,
    neighbour: Neighbour,
}

/// What the neighbour's callers saw: failures, and the 99th percentile before the brownout and during it.
#[derive(Debug, Clone, PartialEq)]
struct Neighbour {
    failed: u32,
    p99_before: Duration,
    p99_during: Duration,
}

/// What callers of one policy saw.
#[derive(Debug, Default)]
struct Callers {
    failed: u32,
    refused_in: Duration,
    /// When a call began, and what it took.
    took: Vec<(Moment, Duration)>,
}

impl Callers {
    fn p99(&self, from: Moment, to: Moment) -> Duration {
        let within = |(began, _): &&(Moment, Duration)| (from..to).contains(began);
        let mut took: Vec<Duration> = self.took.iter().filter(within).map(|call| call.1).collect();
        took.sort_unstable();
        took[took.len() * 99 / 100]
    }
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

/// So many calls a second on average, at random distances, for `span`; watches for the first state that `is_awaited`.
async fn load(
    (policy, dependency): (&Policy, &Arc<Dependency>),
    callers: &Arc<Mutex<Callers>>,
    (per_second, dice): (f64, &Dice),
    span: Duration,
    is_awaited: impl Fn(State) -> bool,
) -> Option<Duration> {
    let (begun, mut seen) = (Moment::now(), None);
    let breaker = policy.breaker().expect("it is on").clone();
    while Moment::now().since(begun) < span {
        drop(task::spawn(
            "call",
            one_call(policy.clone(), dependency.clone(), callers.clone()),
        ));
        // Exponential distances: a Poisson stream.
        sleep(Duration::from_secs_f64(
            -(1.0 - dice.share()).ln() / per_second,
        ))
        .await;
        if seen.is_none() && is_awaited(breaker.state()) {
            seen = Some(Moment::now().since(begun));
        }
    }
    seen
}

async fn one_call(policy: Policy, dependency: Arc<Dependency>, callers: Arc<Mutex<Callers>>) {
    let began = Moment::now();
    let breaker = policy.breaker().expect("it is on");
    // Others wait for a slot while it opens, for 100 ms at most.
    let came_late = breaker.peek(began).is_err();
    let call = |_| dependency.clone().call();
    let result = policy.call(Terms::once(), &EveryError, call).await;
    let took = Moment::now().since(began);
    let mut callers = callers.lock();
    callers.took.push((began, took));
    if let Err(gave_up) = result {
        callers.failed += 1;
        let refusal = gave_up.last.refusal();
        if came_late && matches!(refusal, Some(Refusal::BreakerOpen { .. })) {
            callers.refused_in = callers.refused_in.max(took);
        }
    }
}

async fn run(seed: u64) -> Seen {
    let dice = Dice::seeded(seed);
    let (policy, dependency) = (policy("brown", &dice), Dependency::new());
    let (neighbour, well) = (self::policy("well", &dice), Dependency::new());
    let (callers, beside) = (Arc::default(), Arc::default());
    let begun = Moment::now();
    let brown = async {
        let one = (&policy, &dependency);
        load(one, &callers, (200.0, &dice), WARM, |_| false).await;
        *dependency.is_slow.lock() = true;
        let before = dependency.calls.load(Ordering::Relaxed);
        let is_open = |state| state == State::Open;
        let opened = load(one, &callers, (200.0, &dice), BROWN, is_open).await;
        let sent = dependency.calls.load(Ordering::Relaxed) - before;
        *dependency.is_slow.lock() = false;
        let is_closed = |state| state == State::Closed;
        let closed = load(one, &callers, (200.0, &dice), HEALED, is_closed).await;
        (opened, sent, closed)
    };
    let other_dice = Dice::seeded(seed ^ 1);
    let pace = (40.0, &other_dice);
    let neighbours = load((&neighbour, &well), &beside, pace, WARM + BROWN, |_| false);
    let ((opened, sent, closed), _) = tokio::join!(brown, neighbours);
    sleep(SLOW).await;
    let (callers, beside) = (callers.lock(), beside.lock());
    Seen {
        opened,
        sent,
        closed,
        refused_in: callers.refused_in,
        neighbour: Neighbour {
            failed: beside.failed,
            p99_before: beside.p99(begun, begun + WARM),
            p99_during: beside.p99(begun + WARM, begun + WARM + BROWN),
        },
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
        assert!(
            seen.refused_in <= Duration::from_millis(1),
            "seed {seed}: {seen:?}"
        );
        let neighbour = &seen.neighbour;
        assert_eq!(neighbour.failed, 0, "seed {seed}: {seen:?}");
        assert!(
            neighbour.p99_during <= neighbour.p99_before * 11 / 10,
            "seed {seed}: {seen:?}"
        );
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
