//! A call through a closed breaker, without an async runtime in the way.

use std::hint::black_box;

use failsafe::CircuitBreaker;
use recloser::Recloser;
use stanchion_resilience::Moment;
use stanchion_resilience::breaker::{Breaker, BreakerSettings, Verdict};

use super::{case, on, repeat};
use crate::measure::{Case, Work};

pub fn cases() -> Vec<Case> {
    let clock = repeat(|| {
        black_box(Moment::now());
        black_box(Moment::now());
    });
    let peers = [("failsafe", failsafe()), ("recloser", recloser())];
    let ours = ours();
    let mut cases = Vec::new();
    for threads in [1, 2] {
        let name = |peer| format!("breaker, closed call, {}, beside {peer}", on(threads));
        cases.push(case(name("its two clock reads"), threads, &ours, &clock));
        for (peer, work) in &peers {
            cases.push(case(name(peer), threads, &ours, work));
        }
    }
    cases
}

fn ours() -> Work {
    let breaker = Breaker::new("bench", &BreakerSettings::default());
    repeat(move || {
        let permit = breaker.acquire().expect("it is closed");
        black_box(7);
        permit.settle(Verdict::Success);
    })
}

fn failsafe() -> Work {
    let breaker = failsafe::Config::new().build();
    repeat(move || {
        let _ = black_box(breaker.call(|| Ok::<_, ()>(black_box(7))));
    })
}

fn recloser() -> Work {
    let breaker = Recloser::custom().error_rate(0.5).closed_len(100).build();
    repeat(move || {
        let _ = black_box(breaker.call(|| Ok::<_, ()>(black_box(7))));
    })
}
