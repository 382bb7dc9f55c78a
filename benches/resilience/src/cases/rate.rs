//! A check of a keyed rate limit that passes, clock read included, over a thousand keys.

use std::cell::Cell;
use std::hint::black_box;
use std::num::NonZeroU32;

use governor::{Quota, RateLimiter};
use stanchion_resilience::Moment;
use stanchion_resilience::rate::{KeyedRate, Rate, RateSettings};

use super::{case, on, repeat};
use crate::measure::{Case, Work};

const KEYS: usize = 1_000;
const PER_SECOND: u32 = 1_000_000;

pub fn cases() -> Vec<Case> {
    let (numbers, names) = ((number_ours(), number_peer()), (name_ours(), name_peer()));
    let (direct, check) = ((direct_ours(), direct_peer()), "beside governor");
    let mut cases = Vec::new();
    for threads in [1, 2] {
        let name = |keys| format!("rate check, {keys}, {}, {check}", on(threads));
        cases.push(case(
            name("1,000 keys u64"),
            threads,
            &numbers.0,
            &numbers.1,
        ));
        cases.push(case(name("1,000 keys String"), threads, &names.0, &names.1));
        cases.push(case(name("no key"), threads, &direct.0, &direct.1));
    }
    cases
}

/// The keys one after the other, each thread for itself.
fn next() -> usize {
    thread_local! {
        static NEXT: Cell<usize> = const { Cell::new(0) };
    }
    NEXT.with(|next| {
        next.set((next.get() + 1) % KEYS);
        next.get()
    })
}

fn settings() -> RateSettings {
    RateSettings {
        per_second: f64::from(PER_SECOND),
        burst: PER_SECOND,
        ..RateSettings::default()
    }
}

fn quota() -> Quota {
    let calls = NonZeroU32::new(PER_SECOND).expect("it is not zero");
    Quota::per_second(calls)
}

fn names() -> Vec<String> {
    (0..KEYS).map(|key| format!("customer-{key:06}")).collect()
}

fn number_ours() -> Work {
    let rate = KeyedRate::<u64>::new(&settings());
    repeat(move || {
        let _ = black_box(rate.check(&(next() as u64), Moment::now(), 1));
    })
}

fn number_peer() -> Work {
    let rate = RateLimiter::dashmap(quota());
    repeat(move || {
        let _ = black_box(rate.check_key(&(next() as u64)));
    })
}

fn name_ours() -> Work {
    let (rate, names) = (KeyedRate::<String>::new(&settings()), names());
    repeat(move || {
        let _ = black_box(rate.check(names[next()].as_str(), Moment::now(), 1));
    })
}

fn name_peer() -> Work {
    let (rate, names) = (RateLimiter::dashmap(quota()), names());
    repeat(move || {
        let _ = black_box(rate.check_key(&names[next()]));
    })
}

fn direct_ours() -> Work {
    let rate = Rate::new(&settings());
    repeat(move || {
        let _ = black_box(rate.check(Moment::now(), 1));
    })
}

fn direct_peer() -> Work {
    let rate = RateLimiter::direct(quota());
    repeat(move || {
        let _ = black_box(rate.check());
    })
}
