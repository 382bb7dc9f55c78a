//! A simulated run of a policy with all its parts: the same seed gives the same run, step by step.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_resilience::policy::{Attempt, EveryError, Policy, PolicySettings};
use stanchion_resilience::retry::Terms;
use stanchion_resilience::{Dice, Moment, Priority};
use stanchion_runtime::task;
use stanchion_telemetry::Metrics;
use tokio::time::{sleep, timeout};

const SEEDS: u64 = 20;
const CALLS: u32 = 600;

/// Everything that happened, in its order, with the nanosecond.
#[derive(Clone)]
struct Trace {
    begun: Moment,
    steps: Arc<Mutex<Vec<String>>>,
}

impl Trace {
    fn note(&self, what: std::fmt::Arguments<'_>) {
        let at = Moment::now().since(self.begun).as_nanos();
        self.steps.lock().push(format!("{at} {what}"));
    }
}

fn everything_on() -> PolicySettings {
    let mut settings = PolicySettings {
        deadline: Duration::from_secs(2),
        timeout: Duration::from_millis(300),
        adaptive_on: true,
        throttle_on: true,
        rate_on: true,
        ..PolicySettings::default()
    };
    (settings.rate.per_second, settings.rate.burst) = (85.0, 20);
    settings.throttle.times = 1.2;
    settings.bulkhead.slots = 12;
    settings.breaker.open = Duration::from_millis(500);
    // Half of the slots: those who can wait have few of these, and must feel both, not the bulkhead alone.
    (settings.adaptive.start, settings.adaptive.window) = (6, Duration::from_millis(200));
    settings
}

/// Well at first, then slow and failing, then well again; some hang.
async fn dependency(
    trace: Trace,
    call: u32,
    attempt: Attempt,
    dice: Dice,
) -> Result<(), &'static str> {
    let is_ill = (CALLS / 3..CALLS * 2 / 3).contains(&call);
    let (slowness, luck) = (dice.within(Duration::from_millis(40)), dice.share());
    trace.note(format_args!("call {call} sent {attempt:?}"));
    sleep(if is_ill { slowness * 5 } else { slowness }).await;
    if luck < 0.05 {
        std::future::pending::<()>().await;
    }
    let result = if is_ill && luck < 0.6 {
        Err("down")
    } else {
        Ok(())
    };
    trace.note(format_args!("call {call} answered {result:?}"));
    result
}

async fn run(seed: u64) -> Vec<String> {
    let dice = Dice::seeded(seed);
    let trace = Trace {
        begun: Moment::now(),
        steps: Arc::default(),
    };
    let heard = trace.clone();
    let policy = Policy::builder("bank", &everything_on())
        .metrics(&Metrics::default())
        .dice(&dice)
        .on_state_change(move |change| heard.note(format_args!("{change:?}")))
        .build();
    for call in 0..CALLS {
        let pause = dice.within(Duration::from_millis(20));
        let (policy, dice, trace) = (policy.clone(), dice.clone(), trace.clone());
        drop(task::spawn("call", async move {
            let class = Priority::ALL[(dice.number() % 4) as usize];
            let terms = match dice.number() % 3 {
                0 => Terms::read(),
                1 => Terms::repeatable(),
                _ => Terms::once(),
            };
            let patience = dice.within(Duration::from_secs(3));
            let one_try = |attempt| dependency(trace.clone(), call, attempt, dice.clone());
            let asked = policy.call(terms.of_priority(class), &EveryError, one_try);
            let came = timeout(patience, asked).await;
            trace.note(format_args!("call {call} ended {came:?}"));
        }));
        sleep(pause).await;
    }
    sleep(Duration::from_secs(10)).await;
    trace.note(format_args!("{policy}"));
    std::mem::take(&mut *trace.steps.lock())
}

fn simulated(seed: u64) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime is made").block_on(run(seed))
}

#[test]
fn the_same_seed_gives_the_same_run_step_by_step() {
    let mut known = std::collections::HashSet::new();
    for seed in 0..SEEDS {
        let (one, other) = (simulated(seed), simulated(seed));
        let differ = one.iter().zip(&other).position(|(one, other)| one != other);
        if let Some(step) = differ {
            panic!("seed {seed}, step {step}:\n{}\n{}", one[step], other[step]);
        }
        assert_eq!(one.len(), other.len(), "seed {seed}");
        assert!(
            one.len() > 3 * CALLS as usize / 2,
            "seed {seed}: {} steps",
            one.len()
        );
        assert!(
            known.insert(one),
            "seed {seed} gives the run of another seed"
        );
    }
}

#[test]
fn a_run_meets_every_part_of_the_policy() {
    let text = (0..SEEDS)
        .flat_map(simulated)
        .collect::<Vec<_>>()
        .join("\n");
    for part in [
        "to: Open",
        "to: HalfOpen",
        "to: Closed",
        "BreakerOpen",
        "BulkheadFull",
        "Overloaded",
        "RateLimited",
        "Throttled",
        "TimedOut",
        "number: 2",
        "Elapsed",
        "stopped: Budget",
        "stopped: NotRepeatable",
        "stopped: Refused",
    ] {
        assert!(text.contains(part), "no run shows {part}");
    }
}
