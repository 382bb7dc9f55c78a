//! Given, when, then: what the parts do together.

mod leaks;
mod told;

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};

use super::*;
use crate::breaker::State;
use crate::deadline::Deadline;
use crate::retry::{Stopped, Terms};
use crate::{Moment, Refusal};

const MS: Duration = Duration::from_millis(1);

fn given(change: impl FnOnce(&mut PolicySettings)) -> Policy {
    let mut settings = PolicySettings::default();
    change(&mut settings);
    Policy::with("bank", &settings, &Metrics::default(), &Dice::seeded(1))
}

#[tokio::test(start_paused = true)]
async fn each_error_says_what_happened() {
    let remote = given(|_| ());
    let gave_up = remote
        .call(Terms::once(), &EveryError, |_| async {
            Err::<(), _>("down")
        })
        .await;
    assert_eq!(
        gave_up.unwrap_err().to_string(),
        "down (attempt 1; it may have taken effect)"
    );

    let timed_out = remote.call(Terms::once(), &EveryError, |_| {
        std::future::pending::<Result<(), ()>>()
    });
    assert_eq!(
        timed_out.await.unwrap_err().last,
        Failure::TimedOut(5_000 * MS)
    );

    let late = Terms::read().until(Deadline::after(Moment::now(), 4 * MS));
    let late = remote
        .call(late, &EveryError, |_| async { Ok::<_, ()>(()) })
        .await;
    assert_eq!(
        late.unwrap_err().last,
        Failure::Refused(Refusal::NoTimeLeft)
    );

    remote.breaker().unwrap().force_open();
    let open = remote
        .call(Terms::read(), &EveryError, |_| async { Ok::<_, ()>(()) })
        .await;
    assert!(matches!(
        open.unwrap_err().last,
        Failure::Refused(Refusal::BreakerOpen { .. })
    ));

    let limited = given(|settings| (settings.rate_on, settings.rate.burst) = (true, 1));
    let call = || limited.call(Terms::read(), &EveryError, |_| async { Ok::<_, ()>(()) });
    assert!(call().await.is_ok());
    assert!(matches!(
        call().await.unwrap_err().last,
        Failure::Refused(Refusal::RateLimited { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn what_the_bulkhead_sheds_is_no_failure_of_the_dependency() {
    let policy = given(|settings| (settings.bulkhead.slots, settings.bulkhead.queue) = (1, 0));
    let slow = |_| async {
        sleep(100 * MS).await;
        Ok::<_, ()>(())
    };
    for _ in 0..20 {
        let answers =
            join_all((0..20).map(|_| policy.call(Terms::once(), &EveryError, slow))).await;
        let full = answers.iter().flat_map(|answer| answer.as_ref().err());
        assert_eq!(
            full.filter(|error| error.last == Failure::Refused(Refusal::BulkheadFull))
                .count(),
            19
        );
    }
    let breaker = policy.breaker().unwrap();
    assert_eq!(
        (breaker.state(), breaker.counts(Moment::now()).failures),
        (State::Closed, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_ends_the_retries() {
    let policy = given(|settings| settings.breaker.calls_min = 2);
    let sent = AtomicU32::new(0);
    let call = |_| {
        sent.fetch_add(1, Ordering::Relaxed);
        async { Err::<(), _>("down") }
    };
    let gave_up = policy
        .call(Terms::read(), &EveryError, call)
        .await
        .unwrap_err();
    assert!(matches!(
        gave_up.stopped,
        Stopped::Refused(Refusal::BreakerOpen { .. })
    ));
    assert_eq!(
        (gave_up.attempts, gave_up.last),
        (2, Failure::Remote("down")),
        "what was sent is not forgotten for what was not"
    );
    assert_eq!(sent.into_inner(), 2);
}

#[tokio::test(start_paused = true)]
async fn all_attempts_together_keep_the_deadline() {
    let policy = given(|settings| settings.deadline = 1_000 * MS);
    let begun = Moment::now();
    let lefts = parking_lot::Mutex::new(Vec::new());
    let slow = |attempt: Attempt| {
        lefts.lock().push(attempt.left);
        async {
            sleep(400 * MS).await;
            Err::<(), _>("reset")
        }
    };
    let _ = policy
        .call(Terms::repeatable(), &EveryError, slow)
        .await
        .unwrap_err();
    assert!(Moment::now().since(begun) <= 1_001 * MS);
    let lefts = lefts.into_inner();
    assert_eq!(lefts[0], 1_000 * MS);
    assert!(
        lefts.windows(2).all(|pair| pair[1] + 400 * MS <= pair[0]),
        "{lefts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn only_reads_are_hedged() {
    let policy = given(|settings| settings.retry_on = false);
    for _ in 0..100 {
        policy.hedge().unwrap().learn(20 * MS);
    }
    for (terms, tries) in [(Terms::once(), 1), (Terms::repeatable(), 1)] {
        for _ in 0..50 {
            let sent = AtomicU32::new(0);
            let slow = |_| {
                sent.fetch_add(1, Ordering::Relaxed);
                async {
                    sleep(100 * MS).await;
                    Ok::<_, ()>(())
                }
            };
            policy.call(terms, &EveryError, slow).await.unwrap();
            assert_eq!(sent.into_inner(), tries);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_prints_itself_and_what_is_off_is_not_there() {
    let all = given(|settings| {
        (settings.rate_on, settings.adaptive_on, settings.throttle_on) = (true, true, true);
    });
    let expected = "\
bank: deadline 30s
  retry: 3 attempts, wait up to 50ms doubling to 5s, budget 10 % + 1/s
  hedge: reads, after p95, at most 5 %
  breaker: closed, opens for 5s at 50 % failed or 50 % slow (over 250ms) of the last 50 calls in 10s
  throttle: at most 2 calls for each accepted
  rate: 100/s, burst 100
  bulkhead: 25 slots, 25 wait up to 100ms
  adaptive limit: 20 now, from 1 to 1000
  timeout: 5s an attempt";
    assert_eq!(all.to_string(), expected);
    let none = given(|settings| {
        (settings.retry_on, settings.hedge_on) = (false, false);
        (settings.breaker_on, settings.bulkhead_on) = (false, false);
    });
    assert_eq!(
        none.to_string(),
        "bank: deadline 30s\n  timeout: 5s an attempt"
    );
    assert_eq!(
        none.call(Terms::read(), &EveryError, |_| async { Ok::<_, ()>(7) })
            .await,
        Ok(7)
    );
}

#[tokio::test(start_paused = true)]
async fn what_happens_is_measured_under_one_label() {
    let metrics = Metrics::default();
    let policy = Policy::with(
        "bank",
        &PolicySettings::default(),
        &metrics,
        &Dice::seeded(1),
    );
    policy
        .call(Terms::read(), &EveryError, |_| async { Ok::<_, ()>(()) })
        .await
        .unwrap();
    let _ = policy
        .call(Terms::repeatable(), &EveryError, |_| async {
            Err::<(), _>(())
        })
        .await;
    policy.breaker().unwrap().force_open();
    let _ = policy
        .call(Terms::read(), &EveryError, |_| async { Ok::<_, ()>(()) })
        .await;
    policy.observe();
    let text = metrics.encode();
    for line in [
        "policy_calls_total{dependency=\"bank\",outcome=\"ok\"} 1",
        "policy_calls_total{dependency=\"bank\",outcome=\"remote\"} 1",
        "policy_calls_total{dependency=\"bank\",outcome=\"breaker_open\"} 1",
        "policy_tries_total{dependency=\"bank\",kind=\"retry\"} 2",
        "policy_breaker_state{dependency=\"bank\"} 3",
        "policy_limit{dependency=\"bank\"} 25",
        "policy_hedge_budget{dependency=\"bank\"} 0",
        "policy_running{dependency=\"bank\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_policy_is_configured_as_one_section() {
    let variables = [
        ("BANK__BREAKER__OPEN", "2s"),
        ("BANK__RETRY__BUDGET__SHARE", "0.2"),
        ("BANK__HEDGE_ON", "false"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let loader = stanchion_config::Loader::new("BANK").environment(variables);
    let settings = loader.load::<PolicySettings>().unwrap().value;
    assert_eq!(settings.breaker.open, Duration::from_secs(2));
    assert_eq!(
        (settings.retry.budget.share, settings.hedge_on),
        (0.2, false)
    );
    let wrong = [("BANK__BREAKER__CALLS_MIN".to_owned(), "60".to_owned())];
    let refused = stanchion_config::Loader::new("BANK")
        .environment(wrong)
        .load::<PolicySettings>();
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("never opens the breaker")
    );
}

struct Rule;

impl Judge<u32, &'static str> for Rule {
    fn verdict(&self, result: &Result<u32, &'static str>) -> Verdict {
        Verdict::of(result)
    }

    fn retryable(&self, _: &&'static str) -> Retryable {
        Retryable::unknown()
    }
}

impl PolicyRule<u32, u32, &'static str> for Rule {
    fn terms(&self, _: &u32) -> Terms {
        Terms::read()
    }

    fn mark(&self, request: &mut u32, attempt: Attempt) {
        *request = attempt.number;
    }
}

#[tokio::test(start_paused = true)]
async fn the_layer_guards_a_service() {
    let service = service_fn(|attempt: u32| async move {
        if attempt < 3 {
            Err("reset")
        } else {
            Ok(attempt)
        }
    });
    let service = given(|_| ()).layer(Rule).layer(service);
    assert_eq!(service.oneshot(0).await, Ok(3));
}
