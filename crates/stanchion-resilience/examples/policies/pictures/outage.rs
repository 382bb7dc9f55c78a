//! What is sent to a dependency in trouble: breaker, retry, throttle, hedge.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_resilience::breaker::{Breaker, BreakerSettings, State, Verdict};
use stanchion_resilience::budget::Budget;
use stanchion_resilience::hedge::{Hedge, HedgeSettings};
use stanchion_resilience::retry::{Retry, RetrySettings, Retryable, Terms};
use stanchion_resilience::throttle::{Throttle, ThrottleSettings};
use stanchion_resilience::{Dice, Moment};

use super::chart::{Band, Chart, Kind, Series, rate};

const SEED: u64 = 7;
/// Simulated time begins here: bursts are full then.
const BEGIN: Moment = Moment::from_nanos(1_000_000_000_000);

fn at(seconds: f64) -> Moment {
    BEGIN + Duration::from_secs_f64(seconds)
}

fn seconds(moment: Moment) -> f64 {
    moment.since(BEGIN).as_secs_f64()
}

fn line(label: &'static str, class: &'static str, kind: Kind, points: Vec<(f64, f64)>) -> Series {
    Series {
        label,
        class,
        kind,
        points,
    }
}

/// A dependency of 20 ms turns 2 s for half a minute; a call is given up after half a second.
pub(crate) fn breaker() -> Chart {
    const END: f64 = 50.0;
    let is_brown = |now: f64| (5.0..35.0).contains(&now);
    let changes: Arc<Mutex<Vec<State>>> = Arc::default();
    let heard = changes.clone();
    let breaker = Breaker::builder("bank", &BreakerSettings::default())
        .dice(Dice::seeded(SEED))
        .on_state_change(move |change| heard.lock().push(change.to))
        .build_at(at(0.0));
    let (mut offered, mut sent, mut states) = (Vec::new(), Vec::new(), vec![(0.0, State::Closed)]);
    let (mut running, mut tickets) = (BinaryHeap::new(), HashMap::new());
    for call in 0..(END * 100.0) as u32 {
        let now = f64::from(call) / 100.0;
        while running
            .peek()
            .is_some_and(|Reverse((ended, _))| *ended <= at(now))
        {
            let Reverse((ended, number)) = running.pop().expect("it was peeked at");
            let (ticket, verdict) = tickets.remove(&number).expect("it was sent");
            breaker.record(ticket, ended, verdict);
            states.extend(
                changes
                    .lock()
                    .drain(..)
                    .map(|state| (seconds(ended), state)),
            );
        }
        offered.push(now);
        if let Ok(ticket) = breaker.try_acquire(at(now)) {
            sent.push(now);
            let (took, verdict) = if is_brown(now) {
                (0.5, Verdict::Failure)
            } else {
                (0.02, Verdict::Success)
            };
            running.push(Reverse((at(now + took), call)));
            tickets.insert(call, (ticket, verdict));
        }
        states.extend(changes.lock().drain(..).map(|state| (now, state)));
    }
    Chart {
        name: "breaker",
        title: "Circuit breaker: a dependency slows down at 5 s and heals at 35 s",
        seconds: END,
        axis: Some(("calls a second", 120.0)),
        bands: bands(&states, END),
        series: vec![
            line("offered", "c", Kind::Dashed, rate(&offered, 0.5, END)),
            line("", "a", Kind::Area, rate(&sent, 0.5, END)),
            line(
                "sent to the dependency",
                "a",
                Kind::Line,
                rate(&sent, 0.5, END),
            ),
        ],
        marks: vec![(35.0, "healed")],
        ..Chart::default()
    }
}

fn bands(states: &[(f64, State)], end: f64) -> Vec<Band> {
    let ends = states.iter().skip(1).map(|(at, _)| *at).chain([end]);
    let band = |((from, state), to): (&(f64, State), f64)| {
        let (class, label) = match state {
            State::Open => ("bad", "open"),
            State::HalfOpen => ("wait", ""),
            _ => ("good", "closed"),
        };
        Band {
            from: *from,
            to,
            class,
            label,
        }
    };
    states.iter().zip(ends).map(band).collect()
}

/// A hundred calls a second, all of which fail for ten seconds.
pub(crate) fn retry() -> Chart {
    const END: f64 = 25.0;
    let offered: Vec<f64> = (0..(END * 100.0) as u32)
        .map(|call| f64::from(call) / 100.0)
        .collect();
    Chart {
        name: "retry",
        title: "Retry: everything fails from 5 to 15 s, three attempts each",
        seconds: END,
        axis: Some(("calls a second", 320.0)),
        series: vec![
            line("offered", "c", Kind::Dashed, rate(&offered, 0.5, END)),
            line(
                "retries without a budget",
                "b",
                Kind::Line,
                rate(&sent(&offered, 1.0, 10_000), 0.5, END),
            ),
            line(
                "with a budget of a tenth",
                "a",
                Kind::Line,
                rate(&sent(&offered, 0.1, 10), 0.5, END),
            ),
        ],
        bands: vec![Band {
            from: 5.0,
            to: 15.0,
            class: "bad",
            label: "outage",
        }],
        ..Chart::default()
    }
}

fn sent(offered: &[f64], share: f64, saved_max: u32) -> Vec<f64> {
    let mut settings = RetrySettings::default();
    (settings.budget.share, settings.budget.saved_max) = (share, saved_max);
    let retry = Retry::with(&settings, Budget::new(&settings.budget), Dice::seeded(SEED));
    let mut calls: BinaryHeap<_> = offered.iter().map(|call| Reverse((at(*call), 1))).collect();
    let mut sent = Vec::new();
    while let Some(Reverse((now, attempt))) = calls.pop() {
        if attempt == 1 {
            retry.budget().deposit(now);
        }
        sent.push(seconds(now));
        if (5.0..15.0).contains(&seconds(now))
            && let Ok(wait) = retry.next(attempt, Retryable::unknown(), &Terms::repeatable(), now)
        {
            calls.push(Reverse((now + wait, attempt + 1)));
        }
    }
    sent
}

/// A dependency that takes a hundred calls a second is sent three hundred.
pub(crate) fn throttle() -> Chart {
    const END: f64 = 100.0;
    let throttle = Throttle::with(&ThrottleSettings::default(), Dice::seeded(SEED), at(0.0));
    let (mut offered, mut sent, mut accepted) = (Vec::new(), Vec::new(), Vec::new());
    let (mut now, mut second, mut left) = (0.0, -1.0, 0);
    while now < END {
        if now >= second + 1.0 {
            (second, left) = (now.floor(), 100);
        }
        offered.push(now);
        if throttle.admit(at(now)).is_ok() {
            sent.push(now);
            if left > 0 {
                left -= 1;
                accepted.push(now);
                throttle.accepted(at(now));
            } else {
                throttle.not_accepted();
            }
        }
        now += if (10.0..60.0).contains(&now) {
            1.0 / 300.0
        } else {
            1.0 / 80.0
        };
    }
    Chart {
        name: "throttle",
        title: "Client throttle: a dependency accepts 100 calls a second, 300 come from 10 to 60 s",
        seconds: END,
        axis: Some(("calls a second", 320.0)),
        series: vec![
            line("offered", "c", Kind::Dashed, rate(&offered, 2.0, END)),
            line("sent", "a", Kind::Line, rate(&sent, 2.0, END)),
            line("accepted", "b", Kind::Line, rate(&accepted, 2.0, END)),
        ],
        ..Chart::default()
    }
}

/// Reads of 10 to 20 ms, of which one in thirty takes ten times as long.
pub(crate) fn hedge() -> Chart {
    const END: f64 = 10.0;
    let (hedge, dice) = (
        Hedge::with(&HedgeSettings::default(), at(0.0)),
        Dice::seeded(SEED),
    );
    let budget = Budget::new(&stanchion_resilience::budget::BudgetSettings::default());
    let hedge = hedge.paid_by(budget.clone());
    let millis = || {
        let usual = 10.0 + 10.0 * dice.share();
        if dice.share() < 1.0 / 30.0 {
            usual * 10.0
        } else {
            usual
        }
    };
    let (mut plain, mut hedged) = (Vec::new(), Vec::new());
    for call in 0..(END * 40.0) as u32 {
        let now = f64::from(call) / 40.0;
        budget.deposit(at(now));
        hedge.begun(at(now));
        let (first, second) = (millis(), millis());
        plain.push((now, first));
        let after = hedge.wait().map(|wait| wait.as_secs_f64() * 1_000.0);
        let took = match after {
            Some(after) if first > after && hedge.spend(at(now)) => first.min(after + second),
            _ => first,
        };
        hedge.learn(Duration::from_secs_f64(took / 1_000.0));
        hedged.push((now, took));
    }
    Chart {
        name: "hedge",
        title: "Hedge: how long each read takes; one in thirty is ten times slower",
        seconds: END,
        axis: Some(("milliseconds", 220.0)),
        series: vec![
            line("without", "b", Kind::Dots, plain),
            line("with a second try after the p95", "a", Kind::Dots, hedged),
        ],
        ..Chart::default()
    }
}
