//! The last calls of the closed state, and what a usual one takes.

use std::cell::Cell;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::sync::{AtomicU64, Ordering, Ring};
use super::{BreakerSettings, Counts};
use crate::Moment;
use crate::moment::nanos;

/// The last calls, written without a lock, one ring a thread.
#[derive(Debug)]
pub(super) struct Window {
    ring: Ring,
    calls: usize,
    age: Duration,
}

/// A finished call in one word: when it ended (48 bits, in 1,024 ns, nine years), generation (13 bits), three flags.
///
/// The time is on top, so that words sort by time. A generation comes round after 8,192 changes of state; by then
/// the time alone keeps the old calls out.
#[derive(Debug, Clone, Copy)]
struct Call(u64);

/// A shift is cheaper than a division, and each call makes one.
const TICK: u32 = 10;
const PRESENT: u64 = 1;
const FAILED: u64 = 2;
const SLOW: u64 = 4;
const GENERATION: u64 = 0x1fff;

/// More shards than this gain nothing, and cost every reader.
const SHARDS_MAX: usize = 8;

impl Window {
    pub(super) fn new(settings: &BreakerSettings) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let calls = settings.window_calls.max(1) as usize;
        Window {
            ring: Ring::new(threads.min(SHARDS_MAX), calls),
            calls,
            age: settings.window_age,
        }
    }

    /// Notes a call; returns how many this thread's ring had noted before.
    pub(super) fn note(&self, generation: u64, now: Moment, failed: bool, slow: bool) -> u64 {
        self.ring
            .push(shard(), Call::new(generation, now, failed, slow).0)
    }

    /// The last calls of `generation` that ended after `since` and are not too old at `now`.
    pub(super) fn counts(&self, generation: u64, since: Moment, now: Moment) -> Counts {
        let from = since.max(now.before(self.age)).as_nanos() >> TICK;
        let current = |call: &Call| call.is_of(generation) && call.ticks() >= from;
        let mut calls: Vec<u64> = self
            .ring
            .words()
            .filter(|word| current(&Call(*word)))
            .collect();
        if calls.len() > self.calls {
            // The newest first, up to the size of the window; in which order among themselves does not matter.
            calls.select_nth_unstable_by(self.calls - 1, |one, other| other.cmp(one));
            calls.truncate(self.calls);
        }
        counted(&calls)
    }
}

fn counted(calls: &[u64]) -> Counts {
    let with = |flag: u64| calls.iter().filter(|word| **word & flag != 0).count() as u32;
    let good = calls.iter().filter(|word| **word & FAILED == 0);
    let last_good = good.map(|word| Call(*word).ticks()).max();
    let after = |word: &&u64| last_good.is_none_or(|last| Call(**word).ticks() > last);
    Counts {
        calls: calls.len() as u32,
        failures: with(FAILED),
        slow: with(SLOW),
        failures_in_row: calls.iter().filter(after).count() as u32,
    }
}

impl Call {
    fn new(generation: u64, now: Moment, failed: bool, slow: bool) -> Self {
        let ticks = now.as_nanos() >> TICK;
        let flags = PRESENT | (u64::from(failed) * FAILED) | (u64::from(slow) * SLOW);
        Call(ticks << 16 | (generation & GENERATION) << 3 | flags)
    }

    fn ticks(self) -> u64 {
        self.0 >> 16
    }

    fn is_of(self, generation: u64) -> bool {
        self.0 >> 3 & GENERATION == generation & GENERATION
    }
}

/// This thread's number, counted from zero in the order of first use.
fn shard() -> usize {
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NUMBER.with(|number| {
        if number.get() == usize::MAX {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed) & (usize::MAX >> 1));
        }
        number.get()
    })
}

/// What a usual call takes: a running median, and the duration above which a call is slow.
///
/// The estimate takes a step up for a longer call and down for a shorter one (the *frugal* median of Ma,
/// Muthukrishnan and Sandler 2013, with steps in proportion): steps of a quarter at first, of 1/64 later. A
/// dependency that has become slow for good is taken as it is after a few hundred calls.
/// Two threads may overwrite each other's step; an estimate can bear that.
#[derive(Debug)]
pub(super) struct Baseline {
    /// Read by every call, so written only when it changes, and never beside what is written often.
    slow_above: AtomicU64,
    floor: u64,
    times: f64,
    estimate: Estimate,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Estimate {
    median: AtomicU64,
    steps: AtomicU64,
}

const STEP_FIRST: u64 = 4;
const STEP_LAST: u64 = 64;
/// While closed, one call of so many takes part once the estimate has settled.
const SAMPLED: u64 = 32;

impl Baseline {
    pub(super) fn new(settings: &BreakerSettings) -> Self {
        let floor = nanos(settings.slow_above);
        Baseline {
            slow_above: AtomicU64::new(floor),
            floor,
            times: settings.slow_times,
            estimate: Estimate::default(),
        }
    }

    /// Nanoseconds, for to make a `Duration` of them costs more than all the rest of a call.
    pub(super) fn slow_above(&self) -> u64 {
        self.slow_above.load(Ordering::Relaxed)
    }

    /// Whether the call noted as the `turn`th takes part.
    pub(super) fn samples(turn: u64) -> bool {
        turn < STEP_LAST || turn.is_multiple_of(SAMPLED)
    }

    pub(super) fn learn(&self, took: u64) {
        if self.times == 0.0 {
            return;
        }
        let estimate = &self.estimate;
        let steps = estimate.steps.load(Ordering::Relaxed);
        estimate.steps.store(steps + 1, Ordering::Relaxed);
        let median = estimate.median.load(Ordering::Relaxed);
        let next = stepped(median, steps, took.max(1));
        estimate.median.store(next, Ordering::Relaxed);
        let slow_above = self.floor.max((next as f64 * self.times) as u64);
        if slow_above != self.slow_above.load(Ordering::Relaxed) {
            self.slow_above.store(slow_above, Ordering::Relaxed);
        }
    }
}

/// `median` one step nearer to `took`, never past it.
fn stepped(median: u64, steps: u64, took: u64) -> u64 {
    let step = median / (STEP_FIRST + steps).min(STEP_LAST) + 1;
    match median {
        0 => took,
        _ if took > median => (median + step).min(took),
        _ => median.saturating_sub(step).max(took),
    }
}
