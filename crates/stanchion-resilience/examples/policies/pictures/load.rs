//! How much is let in: bulkhead, rate, adaptive limit, CoDel.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use stanchion_resilience::adaptive::{Adaptive, AdaptiveSettings};
use stanchion_resilience::bulkhead::{Bulkhead, BulkheadSettings};
use stanchion_resilience::codel::{Codel, CodelSettings};
use stanchion_resilience::deadline::Deadline;
use stanchion_resilience::rate::{Rate, RateSettings};
use stanchion_resilience::{Dice, Moment, Priority};

use super::chart::{Band, Chart, Kind, Series};

const SEED: u64 = 7;
const BEGIN: Moment = Moment::from_nanos(1_000_000_000_000);

fn at(seconds: f64) -> Moment {
    BEGIN + Duration::from_secs_f64(seconds)
}

fn line(label: &'static str, class: &'static str, kind: Kind, points: Vec<(f64, f64)>) -> Series {
    Series {
        label,
        class,
        kind,
        points,
    }
}

/// Forty calls a second; from 3 to 12 s each of them hangs for three seconds.
pub(crate) fn bulkhead() -> Chart {
    const END: f64 = 20.0;
    let bulkhead = Bulkhead::new(&BulkheadSettings::default());
    let (mut with, mut without): (BinaryHeap<_>, BinaryHeap<_>) = Default::default();
    let (mut inside, mut alone) = (Vec::new(), Vec::new());
    let mut slots = HashMap::new();
    for call in 0..(END * 40.0) as u32 {
        let now = f64::from(call) / 40.0;
        while with.peek().is_some_and(|Reverse((end, _))| *end <= at(now)) {
            let Reverse((_, number)) = with.pop().expect("it was peeked at");
            slots.remove(&number);
        }
        while without.peek().is_some_and(|Reverse(end)| *end <= at(now)) {
            without.pop();
        }
        let end = at(now + if (3.0..12.0).contains(&now) { 3.0 } else { 0.1 });
        without.push(Reverse(end));
        if let Ok(slot) = bulkhead.try_enter() {
            slots.insert(call, slot);
            with.push(Reverse((end, call)));
        }
        if call % 4 == 0 {
            inside.push((now, f64::from(bulkhead.running())));
            alone.push((now, without.len() as f64));
        }
    }
    Chart {
        name: "bulkhead",
        title: "Bulkhead: calls under way to a dependency that hangs from 3 to 12 s",
        seconds: END,
        axis: Some(("calls", 140.0)),
        bands: vec![Band {
            from: 3.0,
            to: 12.0,
            class: "bad",
            label: "hangs",
        }],
        series: vec![
            line("without", "b", Kind::Line, alone),
            line("25 slots", "a", Kind::Line, inside),
        ],
        ..Chart::default()
    }
}

/// Ten a second and twenty at once; forty a second come from 3 to 6 s.
pub(crate) fn rate() -> Chart {
    const END: f64 = 12.0;
    let rate = Rate::new(&RateSettings {
        per_second: 10.0,
        burst: 20,
        ..RateSettings::default()
    });
    let (mut left, mut passed, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let mut now = 0.0;
    while now < END {
        match rate.check(at(now), 1) {
            Ok(()) => passed.push((now, 27.0)),
            Err(_) => refused.push((now, 24.0)),
        }
        left.push((now, rate.left(at(now)) as f64));
        now += if (3.0..6.0).contains(&now) {
            0.025
        } else {
            0.2
        };
    }
    Chart {
        name: "rate",
        title: "Rate limit: 10 a second, burst 20; 5 a second come, and 40 from 3 to 6 s",
        seconds: END,
        axis: Some(("calls left", 30.0)),
        series: vec![
            line("left in the bucket", "a", Kind::Line, left),
            line("passed", "c", Kind::Dots, passed),
            line("refused", "b", Kind::Dots, refused),
        ],
        ..Chart::default()
    }
}

/// A server of ten slots, then forty, then ten, each of 20 ms, under 3,000 calls a second.
pub(crate) fn adaptive() -> Chart {
    const END: f64 = 120.0;
    let capacity = |now: f64| if (40.0..80.0).contains(&now) { 40 } else { 10 };
    let limit = Adaptive::with(&AdaptiveSettings::default(), Dice::seeded(SEED), at(0.0));
    let mut running: BinaryHeap<Reverse<(Moment, u32)>> = BinaryHeap::new();
    let (mut places, mut free) = (HashMap::new(), BinaryHeap::new());
    let (mut limits, mut slots, mut known) = (Vec::new(), Vec::new(), 0);
    for call in 0..(END * 3_000.0) as u32 {
        let now = f64::from(call) / 3_000.0;
        while known < capacity(now) {
            free.push(Reverse(at(now)));
            known += 1;
        }
        while running
            .peek()
            .is_some_and(|Reverse((end, _))| *end <= at(now))
        {
            let Reverse((end, number)) = running.pop().expect("it was peeked at");
            let place: stanchion_resilience::adaptive::Place =
                places.remove(&number).expect("it was let in");
            place.finish_at(end);
        }
        if let Ok(place) = limit.try_enter(at(now), Priority::Critical) {
            while known > capacity(now) {
                free.pop();
                known -= 1;
            }
            let Reverse(slot) = free.pop().expect("there are slots");
            let end = slot.max(at(now)) + Duration::from_millis(20);
            free.push(Reverse(end));
            running.push(Reverse((end, call)));
            places.insert(call, place);
        }
        if call % 750 == 0 {
            limits.push((now, f64::from(limit.limit())));
            slots.push((now, f64::from(capacity(now))));
        }
    }
    // What still runs would tell the real clock of its end.
    places
        .into_values()
        .for_each(|place| place.finish_at(at(END)));
    Chart {
        name: "adaptive",
        title: "Adaptive limit: a server under five times its load, four times as strong from 40 to 80 s",
        seconds: END,
        axis: Some(("calls at a time", 60.0)),
        series: vec![
            line(
                "what the server works on at a time",
                "c",
                Kind::Dashed,
                slots,
            ),
            line("limit", "a", Kind::Line, limits),
        ],
        ..Chart::default()
    }
}

/// A server of 500 calls a second gets 1,000 from 4 to 10 s.
pub(crate) fn codel() -> Chart {
    const END: f64 = 20.0;
    Chart {
        name: "codel",
        title: "CoDel queue: how long served calls have waited, twice the capacity from 4 to 10 s",
        seconds: END,
        axis: Some(("seconds", 6.0)),
        bands: vec![Band {
            from: 4.0,
            to: 10.0,
            class: "bad",
            label: "overload",
        }],
        series: vec![
            line(
                "first come, first served",
                "b",
                Kind::Line,
                waits_in_line(END),
            ),
            line("CoDel, newest first", "a", Kind::Line, waits_in_codel(END)),
        ],
        ..Chart::default()
    }
}

/// When calls come, up to `end`.
fn arrivals(end: f64) -> VecDeque<f64> {
    let (mut arrivals, mut now) = (VecDeque::new(), 0.0);
    while now < end {
        arrivals.push_back(now);
        now += if (4.0..10.0).contains(&now) {
            0.001
        } else {
            0.0025
        };
    }
    arrivals
}

/// The server takes one call every 2 ms; every fiftieth is drawn.
fn waits_in_line(end: f64) -> Vec<(f64, f64)> {
    let mut free = 0.0_f64;
    let mut wait = |arrival: f64| {
        free = free.max(arrival) + 0.002;
        (free, free - 0.002 - arrival)
    };
    let waits = arrivals(end).into_iter().map(&mut wait);
    waits.step_by(50).filter(|(at, _)| *at < end).collect()
}

fn waits_in_codel(end: f64) -> Vec<(f64, f64)> {
    let mut queue = Codel::new(&CodelSettings::default(), at(0.0));
    let (mut arrivals, mut waits) = (arrivals(end), Vec::new());
    for turn in 0..(end * 500.0) as u32 {
        let now = f64::from(turn) / 500.0;
        while arrivals.front().is_some_and(|arrival| *arrival <= now) {
            let arrival = arrivals.pop_front().expect("it was peeked at");
            // What finds no room is refused at once.
            let _ = queue.push(at(arrival), Priority::Normal, Deadline::NONE, arrival, 100);
        }
        if let Some(arrival) = queue.pop(at(now), Priority::Bulk).next
            && turn % 50 == 0
        {
            waits.push((now, now - arrival));
        }
    }
    waits
}
