//! The whole breaker under random schedules, by shuttle, over the very same source files.

#[path = "../machine.rs"]
mod machine;
#[path = "../../atomic/ring.rs"]
mod ring;
#[path = "../../atomic/standing.rs"]
mod standing;
#[path = "../window.rs"]
mod window;

/// What the files above find in their parent: shuttle's lock and atomics, under the names of the real ones.
mod sync {
    pub(super) use shuttle::sync::MutexGuard;
    pub(super) use shuttle::sync::atomic::{AtomicU64, Ordering};

    pub(super) use super::ring::Ring;
    pub(super) use super::standing::Standing;

    /// shuttle's lock with the face of parking_lot's.
    #[derive(Debug, Default)]
    pub(super) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(super) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

use super::super::change;
use super::super::{
    BreakerBuilder, BreakerSettings, Change, Counts, Listener, State, Ticket, Trips, Verdict,
};

use std::sync::Arc;
use std::time::Duration;

use machine::Machine;
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;

use super::super::Breaker;
use crate::{Dice, Moment};

/// Schedules tried; a failing one is printed by shuttle and can be replayed.
const SCHEDULES: usize = 2_000;

fn settings() -> BreakerSettings {
    BreakerSettings {
        window_calls: 4,
        calls_min: 2,
        probes: 2,
        probes_at_once: 1,
        probes_bad: 1,
        open: Duration::from_nanos(5),
        open_jitter: 0.0,
        probe_wait_max: Duration::from_secs(3_600),
        ..BreakerSettings::default()
    }
}

/// A breaker on a clock that goes on by one with each look at it, and what it told.
struct Bench {
    machine: Machine,
    clock: AtomicU64,
    told: Arc<Mutex<Vec<Change>>>,
}

impl Bench {
    fn new() -> Arc<Self> {
        let told: Arc<Mutex<Vec<Change>>> = Arc::default();
        let heard = told.clone();
        let builder = Breaker::builder("bank", &settings())
            .dice(Dice::seeded(1))
            .on_state_change(move |change| heard.lock().unwrap().push(*change));
        Arc::new(Bench {
            machine: Machine::new(builder, Moment::START),
            clock: AtomicU64::new(0),
            told,
        })
    }

    fn now(&self) -> Moment {
        Moment::from_nanos(self.clock.fetch_add(1, Ordering::Relaxed))
    }

    fn call(&self, verdict: Verdict) {
        let now = self.now();
        if let Ok(ticket) = self.machine.acquire(now) {
            self.machine.record(&ticket, self.now(), verdict);
        }
    }
}

/// Threads that fail, succeed, go away and meddle, all at once.
fn run() {
    let bench = Bench::new();
    let work: [fn(&Bench); 3] = [
        |bench| (0..4).for_each(|_| bench.call(Verdict::Failure)),
        |bench| {
            for verdict in [
                Verdict::Success,
                Verdict::Ignored,
                Verdict::Success,
                Verdict::Success,
            ] {
                bench.call(verdict);
            }
        },
        |bench| {
            bench.call(Verdict::Failure);
            bench.machine.force(State::Closed, bench.now());
            bench.call(Verdict::Failure);
        },
    ];
    let threads = work.map(|work| {
        let bench = bench.clone();
        thread::spawn(move || work(&bench))
    });
    for thread in threads {
        thread.join().unwrap();
    }
    every_change_follows_from_the_one_before(&bench);
    nothing_is_left_over(&bench);
}

fn every_change_follows_from_the_one_before(bench: &Bench) {
    let mut told = bench.told.lock().unwrap().clone();
    // The listener is told outside of the lock, so the order of telling is not that of the changes.
    told.sort_by_key(|change| change.generation);
    let mut before = (State::Closed, 1);
    for change in told {
        assert_eq!((change.from, change.generation), (before.0, before.1 + 1));
        before = (change.to, change.generation);
    }
    assert_eq!(before.0, bench.machine.state());
}

/// All calls have come back, so the probes are free: two good calls close it from any state.
fn nothing_is_left_over(bench: &Bench) {
    bench.clock.fetch_add(1_000, Ordering::Relaxed);
    for _ in 0..2 {
        let ticket = bench.machine.acquire(bench.now()).expect("a probe is free");
        bench.machine.record(&ticket, bench.now(), Verdict::Success);
    }
    assert_eq!(bench.machine.state(), State::Closed);
}

/// A half-open breaker asked by all threads at once.
fn probe() {
    let bench = Bench::new();
    (0..2).for_each(|_| bench.call(Verdict::Failure));
    bench.clock.fetch_add(1_000, Ordering::Relaxed);
    let out = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (bench, out) = (bench.clone(), out.clone());
            thread::spawn(move || {
                let Ok(ticket) = bench.machine.acquire(bench.now()) else {
                    return;
                };
                // Still half-open, so this one is a probe.
                if bench.machine.state() == State::HalfOpen {
                    assert_eq!(
                        out.fetch_add(1, Ordering::SeqCst),
                        0,
                        "two probes at a time"
                    );
                    out.fetch_sub(1, Ordering::SeqCst);
                }
                bench.machine.record(&ticket, bench.now(), Verdict::Ignored);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    nothing_is_left_over(&bench);
}

/// Two failures that would open it, of calls from before an operator's reset, beside that reset.
fn late() {
    let bench = Bench::new();
    let tickets = [(); 2].map(|()| bench.machine.acquire(bench.now()).expect("it is closed"));
    let failing = tickets.map(|ticket| {
        let bench = bench.clone();
        thread::spawn(move || {
            bench.machine.record(&ticket, bench.now(), Verdict::Failure);
        })
    });
    bench.machine.force(State::Closed, bench.now());
    for thread in failing {
        thread.join().unwrap();
    }
    let told = bench.told.lock().unwrap().clone();
    let opened = told.iter().filter(|change| change.to == State::Open);
    for change in opened {
        // The first state, which they belong to, has generation 1.
        assert_eq!(
            change.generation, 2,
            "late results opened what had been reset"
        );
    }
}

#[test]
fn under_any_schedule_late_results_do_not_open_what_was_reset() {
    shuttle::check_random(late, SCHEDULES);
    shuttle::check_pct(late, SCHEDULES, 3);
}

#[test]
fn under_any_schedule_changes_follow_each_other_and_no_probe_leaks() {
    shuttle::check_random(run, SCHEDULES);
    // Few preemptions at the worst places find what random ones seldom do.
    shuttle::check_pct(run, SCHEDULES, 3);
}

#[test]
fn under_any_schedule_one_probe_is_out_at_a_time() {
    shuttle::check_random(probe, SCHEDULES);
    shuttle::check_pct(probe, SCHEDULES, 3);
}
