//! Rate limit: how much each caller may do, without a timer, a task or an entry that stays for ever.
//!
//! The usual defects: fixed windows, which let twice the limit through around their border; a map of callers that
//! grows with every invented address; and a 429 that does not say when to come again. Here it is GCRA: one number a
//! key, a refusal that names the wait, and keys without room share one limit.

use std::time::Duration;

use stanchion::resilience::Moment;
use stanchion::resilience::rate::{KeyedRate, RateSettings};

fn main() {
    let settings = RateSettings {
        per_second: 10.0,
        burst: 5,
        keys_max: 1_000,
    };
    let rate = KeyedRate::<String>::new(&settings);
    // The decision takes the time as an argument: a test, or this program, makes its own.
    let at = |millis| Moment::START + Duration::from_millis(millis);
    let passed = |key: &str, calls, millis| {
        (0..calls)
            .filter(|_| rate.check(key, at(millis), 1).is_ok())
            .count()
    };

    println!("ann at once: {} of 20", passed("ann", 20, 0));
    println!("ann a second later: {} of 20", passed("ann", 20, 1_000));
    println!("bob meanwhile: {} of 20", passed("bob", 20, 1_000));
    let border: usize = (1_990..2_010).map(|millis| passed("eve", 1, millis)).sum();
    println!("eve around a border of seconds: {border} of 20");
    assert_eq!(border, 5, "no window, no border");

    let refused = rate
        .check("ann", at(1_000), 3)
        .expect_err("ann has used it up");
    let wait = refused.retry_after().expect("a rate limit says when");
    println!("ann wants three: {refused}, in {wait:?}");
    assert!(rate.check("ann", at(1_000) + wait, 3).is_ok());

    let invented = (0..100_000)
        .filter(|number| {
            rate.check(&format!("invented {number}"), at(1_000), 1)
                .is_ok()
        })
        .count();
    println!(
        "100000 invented callers: {invented} passed, {} remembered",
        rate.keys()
    );
    assert!(rate.keys() <= 1_024 && invented <= 1_024 + 5);
}
