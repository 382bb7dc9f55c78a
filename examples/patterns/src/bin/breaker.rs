//! Circuit breaker: what does not answer is left alone for a while, and tried with a few calls before it is trusted.
//!
//! The usual defects: a breaker that counts failures alone stays closed while everything takes two seconds;
//! one that counts what it refused itself never closes again; and a late answer from before it opened decides
//! about what is there now. Here slow calls count as well as failed ones, refusals and callers that went away
//! count for nothing, and each state throws away what belongs to an earlier one.

use std::time::Duration;

use stanchion::resilience::breaker::{Breaker, BreakerSettings, State};
use stanchion::resilience::{Failure, Refusal};
use tokio::time::{sleep, timeout};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let settings = BreakerSettings {
        calls_min: 10,
        slow_above: Duration::from_millis(20),
        // By itself, it takes what is usual for slow, five times as long, into account.
        slow_times: 0.0,
        open: Duration::from_millis(100),
        probes: 3,
        ..BreakerSettings::default()
    };
    let bank = Breaker::builder("bank", &settings)
        .on_state_change(|change| println!("{} → {}", change.from, change.to))
        .build();

    // Every answer is a good one, but for the time it takes.
    while bank.state() == State::Closed {
        bank.call(pay_in(Duration::from_millis(30)))
            .await
            .unwrap_or_default();
    }
    let refused = bank.call(pay_in(Duration::ZERO)).await;
    println!("while open: {refused:?}");
    assert!(matches!(
        refused,
        Err(Failure::Refused(Refusal::BreakerOpen { .. }))
    ));

    sleep(Duration::from_millis(130)).await;
    // A caller that goes away says nothing of the bank, and its probe is free again.
    for _ in 0..20 {
        let gone = timeout(Duration::ZERO, bank.call(pay_in(Duration::from_secs(9)))).await;
        assert!(gone.is_err());
    }
    assert_eq!(bank.state(), State::HalfOpen);
    for _ in 0..3 {
        assert_eq!(bank.call(pay_in(Duration::ZERO)).await, Ok(1));
    }
    println!("after three good ones: {}", bank.state());
    assert_eq!(bank.state(), State::Closed);
}

async fn pay_in(time: Duration) -> Result<u32, String> {
    sleep(time).await;
    Ok(1)
}
