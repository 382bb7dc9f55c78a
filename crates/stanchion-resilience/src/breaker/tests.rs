//! Given, when, then: the core with moments made by hand.

mod leaks;
#[allow(
    clippy::duplicate_mod,
    dead_code,
    reason = "shuttle must try what runs, not a copy of it; of which it needs a part"
)]
mod schedules;
mod shells;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::*;

const FAST: Duration = Duration::from_millis(20);
const SLOW: Duration = Duration::from_secs(2);

/// A breaker in time that only the test moves.
struct Bench {
    breaker: Breaker,
    now: Moment,
    told: Arc<Mutex<Vec<String>>>,
}

fn given(change: impl FnOnce(&mut BreakerSettings)) -> Bench {
    given_built(change, |builder| builder)
}

fn given_built(
    change: impl FnOnce(&mut BreakerSettings),
    build: impl FnOnce(BreakerBuilder) -> BreakerBuilder,
) -> Bench {
    let mut settings = BreakerSettings {
        open_jitter: 0.0,
        ..BreakerSettings::default()
    };
    change(&mut settings);
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = told.clone();
    let builder = Breaker::builder("bank", &settings).on_state_change(move |change| {
        notes
            .lock()
            .push(format!("{} → {}", change.from, change.to))
    });
    let now = Moment::from_nanos(1_000_000_000);
    Bench {
        breaker: build(builder).build_at(now),
        now,
        told,
    }
}

impl Bench {
    /// One call after the other, each let out or refused.
    fn calls(&mut self, count: u32, took: Duration, verdict: Verdict) -> u32 {
        let mut sent = 0;
        for _ in 0..count {
            let asked = self.breaker.try_acquire(self.now);
            self.now = self.now + took;
            if let Ok(ticket) = asked {
                sent += 1;
                self.breaker.record(ticket, self.now, verdict);
            }
        }
        sent
    }

    fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// Opened by failures.
    fn open(mut self) -> Self {
        self.calls(20, FAST, Verdict::Failure);
        assert_eq!(self.breaker.state(), State::Open);
        self
    }

    fn half_open(self) -> Self {
        let mut bench = self.open();
        bench.wait(Duration::from_secs(5));
        assert_eq!(bench.calls(1, FAST, Verdict::Ignored), 1);
        assert_eq!(bench.breaker.state(), State::HalfOpen);
        bench
    }
}

#[test]
fn it_opens_when_half_of_the_last_calls_failed() {
    let mut bench = given(|_| ());
    bench.calls(25, FAST, Verdict::Success);
    bench.calls(24, FAST, Verdict::Failure);
    assert_eq!(bench.breaker.state(), State::Closed);
    bench.calls(1, FAST, Verdict::Failure);
    assert_eq!(bench.breaker.state(), State::Open);
    assert_eq!(*bench.told.lock(), ["closed → open"]);
}

#[test]
fn it_looks_at_the_last_calls_only_however_many_were_good_before() {
    let mut bench = given(|_| ());
    bench.calls(10_000, Duration::from_millis(1), Verdict::Success);
    bench.calls(24, FAST, Verdict::Failure);
    assert_eq!(bench.breaker.state(), State::Closed);
    bench.calls(1, FAST, Verdict::Failure);
    assert_eq!(bench.breaker.state(), State::Open);
}

#[test]
fn it_stays_closed_below_the_least_number_of_calls() {
    let mut bench = given(|_| ());
    assert_eq!(bench.calls(19, FAST, Verdict::Failure), 19);
    assert_eq!(bench.breaker.state(), State::Closed);
    bench.calls(1, FAST, Verdict::Failure);
    assert_eq!(bench.breaker.state(), State::Open);
}

#[test]
fn a_call_older_than_the_window_does_not_count() {
    let mut bench = given(|_| ());
    bench.calls(19, FAST, Verdict::Failure);
    bench.wait(Duration::from_secs(11));
    bench.calls(19, FAST, Verdict::Failure);
    assert_eq!(bench.breaker.state(), State::Closed);
    assert_eq!(bench.breaker.counts(bench.now).calls, 19);
}

#[test]
fn it_opens_when_half_of_the_last_calls_were_slow_though_they_succeeded() {
    let mut bench = given(|_| ());
    bench.calls(50, FAST, Verdict::Success);
    bench.calls(25, Duration::from_millis(300), Verdict::Success);
    assert_eq!(bench.breaker.state(), State::Open);
}

#[test]
fn slow_is_measured_against_what_is_usual_for_the_dependency() {
    let mut bench = given(|settings| settings.window_age = Duration::from_secs(3_600));
    let usual = Duration::from_millis(300);
    bench.calls(200, usual, Verdict::Success);
    assert_eq!(bench.breaker.state(), State::Closed, "300 ms is usual here");
    let slow_above = bench.breaker.slow_above();
    assert!(
        slow_above > usual * 4 && slow_above < usual * 6,
        "{slow_above:?}"
    );
    bench.calls(30, SLOW, Verdict::Success);
    assert_eq!(bench.breaker.state(), State::Open);
}

#[test]
fn a_slow_first_call_does_not_spoil_what_is_usual() {
    let mut bench = given(|settings| settings.slow_above = Duration::from_millis(1));
    bench.calls(1, SLOW, Verdict::Success);
    bench.calls(63, FAST, Verdict::Success);
    let slow_above = bench.breaker.slow_above();
    assert!(slow_above < FAST * 40, "{slow_above:?}");
    bench.calls(3_000, FAST, Verdict::Success);
    let slow_above = bench.breaker.slow_above();
    assert!(
        slow_above >= FAST * 5 && slow_above < FAST * 7,
        "{slow_above:?}"
    );
}

#[test]
fn an_open_one_refuses_until_its_time_is_over_and_says_when() {
    let mut bench = given(|_| ()).open();
    bench.wait(Duration::from_secs(2));
    let refused = bench.breaker.try_acquire(bench.now).unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(3)));
    assert!(bench.breaker.peek(bench.now).is_err());
    bench.wait(Duration::from_secs(3));
    assert!(bench.breaker.peek(bench.now).is_ok());
    assert_eq!(bench.calls(1, FAST, Verdict::Success), 1);
    assert_eq!(bench.breaker.state(), State::HalfOpen);
}

#[test]
fn the_open_time_is_jittered_and_the_same_for_the_same_seed() {
    let opened = |seed| {
        let dice = Dice::seeded(seed);
        let jittered = |settings: &mut BreakerSettings| settings.open_jitter = 0.2;
        let bench = given_built(jittered, |builder| builder.dice(dice)).open();
        let refused = bench.breaker.try_acquire(bench.now).unwrap_err();
        refused.retry_after().unwrap()
    };
    let times: Vec<_> = (0..100).map(opened).collect();
    let bounds = Duration::from_secs(4)..=Duration::from_secs(6);
    assert!(times.iter().all(|time| bounds.contains(time)), "{times:?}");
    assert!(
        times
            .iter()
            .any(|time| *time < Duration::from_millis(4_400))
    );
    assert!(
        times
            .iter()
            .any(|time| *time > Duration::from_millis(5_600))
    );
    assert_eq!(opened(7), opened(7));
}

#[test]
fn half_open_sends_three_at_once_and_closes_after_ten_good_ones() {
    let mut bench = given(|_| ()).half_open();
    let first: Vec<_> = (0..3)
        .map(|_| bench.breaker.try_acquire(bench.now).unwrap())
        .collect();
    assert!(bench.breaker.try_acquire(bench.now).is_err(), "a fourth");
    bench.wait(FAST);
    for ticket in first {
        bench.breaker.record(ticket, bench.now, Verdict::Success);
    }
    assert_eq!(bench.calls(6, FAST, Verdict::Success), 6);
    assert_eq!(bench.breaker.state(), State::HalfOpen);
    bench.calls(1, FAST, Verdict::Success);
    assert_eq!(bench.breaker.state(), State::Closed);
    assert_eq!(
        bench.breaker.counts(bench.now),
        Counts::default(),
        "a clean start"
    );
}

#[test]
fn half_open_opens_again_at_the_second_bad_probe_slow_or_failed() {
    let mut bench = given(|_| ()).half_open();
    bench.calls(1, FAST, Verdict::Failure);
    bench.calls(1, FAST, Verdict::Success);
    assert_eq!(bench.breaker.state(), State::HalfOpen);
    bench.calls(1, SLOW, Verdict::Success);
    assert_eq!(bench.breaker.state(), State::Open);
}

#[test]
fn a_cancelled_probe_gives_its_place_back() {
    let mut bench = given(|_| ()).half_open();
    assert_eq!(bench.calls(1_000, FAST, Verdict::Ignored), 1_000);
    assert_eq!(bench.breaker.state(), State::HalfOpen);
}

#[test]
fn probes_that_never_come_back_do_not_hold_it_half_open_for_ever() {
    let mut bench = given(|_| ()).half_open();
    let hanging: Vec<_> = (0..3)
        .map(|_| bench.breaker.try_acquire(bench.now).unwrap())
        .collect();
    bench.wait(Duration::from_secs(9));
    assert!(bench.breaker.try_acquire(bench.now).is_err());
    assert_eq!(bench.breaker.state(), State::HalfOpen);
    bench.wait(Duration::from_secs(1));
    assert!(bench.breaker.try_acquire(bench.now).is_err());
    assert_eq!(bench.breaker.state(), State::Open);
    bench.wait(Duration::from_secs(5));
    assert_eq!(
        bench.calls(1, FAST, Verdict::Success),
        1,
        "new probes go out"
    );
    for ticket in hanging {
        bench.breaker.record(ticket, bench.now, Verdict::Failure);
    }
    assert_eq!(
        bench.breaker.state(),
        State::HalfOpen,
        "the late ones change nothing"
    );
}

#[test]
fn a_late_result_of_an_earlier_state_is_thrown_away() {
    let bench = given(|_| ());
    let late: Vec<_> = (0..40)
        .map(|_| bench.breaker.try_acquire(bench.now).unwrap())
        .collect();
    let mut bench = bench.open();
    bench.wait(Duration::from_secs(5));
    bench.calls(10, FAST, Verdict::Success);
    assert_eq!(bench.breaker.state(), State::Closed);
    for ticket in late {
        bench.breaker.record(ticket, bench.now, Verdict::Failure);
    }
    assert_eq!(bench.breaker.state(), State::Closed);
    assert_eq!(bench.breaker.counts(bench.now).calls, 0);
}

#[test]
fn what_is_ignored_is_not_counted_at_all() {
    let mut bench = given(|_| ());
    bench.calls(100, SLOW, Verdict::Ignored);
    assert_eq!(bench.breaker.counts(bench.now), Counts::default());
    assert_eq!(bench.breaker.state(), State::Closed);
}

#[test]
fn counts_are_cleared_after_each_interval() {
    let mut bench = given(|settings| settings.clear_every = Some(Duration::from_secs(1)));
    bench.calls(19, FAST, Verdict::Failure);
    assert_eq!(bench.breaker.counts(bench.now).failures, 19);
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.breaker.counts(bench.now).failures, 0);
    bench.calls(19, FAST, Verdict::Failure);
    assert_eq!(bench.breaker.state(), State::Closed);
}

#[test]
fn a_predicate_decides_instead_of_the_rates() {
    let six_in_row = |counts: &Counts| counts.failures_in_row > 5;
    let mut bench = given_built(|_| (), |builder| builder.ready_to_trip(six_in_row));
    for _ in 0..10 {
        bench.calls(5, FAST, Verdict::Failure);
        bench.calls(1, FAST, Verdict::Success);
    }
    assert_eq!(bench.breaker.state(), State::Closed);
    bench.calls(6, FAST, Verdict::Failure);
    assert_eq!(bench.breaker.state(), State::Open);
}

#[test]
fn an_operator_forces_and_resets_it() {
    let mut bench = given(|_| ());
    bench.breaker.force_closed();
    assert_eq!(bench.calls(100, FAST, Verdict::Failure), 100);
    bench.breaker.force_open();
    bench.wait(Duration::from_secs(3_600));
    assert_eq!(bench.calls(10, FAST, Verdict::Success), 0);
    bench.breaker.reset();
    assert_eq!(bench.calls(10, FAST, Verdict::Success), 10);
    assert_eq!(
        *bench.told.lock(),
        [
            "closed → forced_closed",
            "forced_closed → forced_open",
            "forced_open → closed"
        ]
    );
}

#[test]
fn a_listener_may_ask_the_breaker_itself() {
    let slot: Arc<Mutex<Option<Breaker>>> = Arc::default();
    let (seen, held) = (Arc::new(AtomicU32::new(0)), slot.clone());
    let counted = seen.clone();
    let breaker = Breaker::builder("bank", &BreakerSettings::default())
        .on_state_change(move |_| {
            let breaker = held.lock().clone().unwrap();
            assert_eq!(breaker.state(), State::Open);
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .build();
    *slot.lock() = Some(breaker.clone());
    for _ in 0..20 {
        breaker.acquire().unwrap().settle(Verdict::Failure);
    }
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}
