//! Given, when, then: the core first, then the function and the layer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use tower::{Layer, ServiceExt, service_fn};

use super::*;

const NOW: Moment = Moment::from_nanos(1_000_000_000_000);

fn given(seed: u64) -> Retry {
    let settings = RetrySettings::default();
    Retry::with(&settings, Budget::new(&settings.budget), Dice::seeded(seed))
}

#[test]
fn a_503_is_no_word_that_nothing_was_done() {
    let asked = Retryable::of_http(503).with_retry_after(Some("2"));
    assert_eq!(asked.allowed(Effect::Once), Err(Stopped::NotRepeatable));
    assert_eq!(asked.allowed(Effect::Repeatable), Ok(()));
    assert_eq!(asked.asked(), Some(Duration::from_secs(2)));
}

#[test]
fn waits_are_full_jitter_under_a_doubling_bound() {
    for (sent, retryable, bound) in [
        (1, Retryable::unknown(), 50),
        (2, Retryable::unknown(), 100),
        (1, Retryable::Throttled { after: None }, 1_000),
        (2, Retryable::Throttled { after: None }, 2_000),
    ] {
        let bound = Duration::from_millis(bound);
        let waits: Vec<_> = (0..200)
            .map(|seed| {
                given(seed)
                    .next(sent, retryable, &Terms::repeatable(), NOW)
                    .unwrap()
            })
            .collect();
        assert!(
            waits.iter().all(|wait| *wait <= bound),
            "{sent} {retryable:?}"
        );
        assert!(waits.iter().any(|wait| *wait < bound / 4));
        assert!(waits.iter().any(|wait| *wait > bound * 3 / 4));
    }
}

#[test]
fn a_wait_the_server_asks_for_is_kept_with_a_little_jitter() {
    let asked = Retryable::of_http(429).with_retry_after(Some("2"));
    let wait = given(1).next(1, asked, &Terms::once(), NOW).unwrap();
    assert!((2_000..=2_050).contains(&wait.as_millis()), "{wait:?}");
    let pushed = Retryable::of_grpc(14).with_pushback(Some("300"));
    let wait = given(1).next(1, pushed, &Terms::repeatable(), NOW).unwrap();
    assert!((300..=350).contains(&wait.as_millis()), "{wait:?}");
}

#[test]
fn a_date_is_a_wait_by_the_clock_of_who_sent_it() {
    let sent_at = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
    let in_two_seconds = Some("Sun, 06 Nov 1994 08:49:39 GMT");
    let asked = Retryable::of_http(429).with_retry_after_at(in_two_seconds, sent_at);
    let wait = given(1).next(1, asked, &Terms::once(), NOW).unwrap();
    assert!((2_000..=2_050).contains(&wait.as_millis()), "{wait:?}");
    let seconds = Retryable::of_http(429).with_retry_after_at(Some("2"), sent_at);
    assert_eq!(seconds, asked);
    let passed =
        Retryable::of_http(429).with_retry_after_at(Some("Sun Nov  6 08:49:30 1994"), sent_at);
    let none = Retryable::Throttled {
        after: Some(Duration::ZERO),
    };
    assert_eq!(passed, none);
    let next_day = Some("Mon, 07 Nov 1994 08:49:37 GMT");
    let much_later = Retryable::of_http(429).with_retry_after_at(next_day, sent_at);
    assert_eq!(
        given(1).next(1, much_later, &Terms::once(), NOW),
        Err(Stopped::Final)
    );
    let malformed = Retryable::of_http(429).with_retry_after_at(Some("tomorrow"), sent_at);
    assert_eq!(malformed, Retryable::of_http(429));
}

#[test]
fn a_server_that_says_no_or_much_later_is_left_alone() {
    for never in [
        Retryable::of_grpc(14).with_pushback(Some("-1")),
        Retryable::of_grpc(14).with_pushback(Some("soon")),
        Retryable::of_http(429).with_retry_after(Some("3600")),
        Retryable::of_http(404),
        Retryable::of_http(400).with_retry_after(Some("1")),
    ] {
        assert_eq!(
            given(1).next(1, never, &Terms::repeatable(), NOW),
            Err(Stopped::Final)
        );
    }
}

#[test]
fn what_may_have_taken_effect_is_repeated_only_where_that_is_allowed() {
    let retry = given(1);
    let timeout = Retryable::unknown();
    assert_eq!(
        retry.next(1, timeout, &Terms::once(), NOW),
        Err(Stopped::NotRepeatable)
    );
    assert!(retry.next(1, timeout, &Terms::repeatable(), NOW).is_ok());
    let refused = Retryable::NotDone { after: None };
    assert!(retry.next(1, refused, &Terms::once(), NOW).is_ok());
}

#[test]
fn no_attempt_begins_after_the_deadline_and_none_that_is_not_made_is_paid_for() {
    let retry = given(1);
    let terms = Terms::repeatable().until(Deadline::after(NOW, Duration::from_secs(1)));
    let later = Retryable::of_http(429).with_retry_after(Some("1"));
    assert_eq!(retry.next(1, later, &terms, NOW), Err(Stopped::Deadline));
    assert_eq!(retry.budget().left(NOW), 10.0);
    assert_eq!(
        retry.next(3, Retryable::unknown(), &terms, NOW),
        Err(Stopped::Attempts)
    );
    assert!(retry.next(1, Retryable::unknown(), &terms, NOW).is_ok());
    assert_eq!(retry.budget().left(NOW), 9.0);
}

#[tokio::test(start_paused = true)]
async fn the_last_error_is_kept_with_the_reason() {
    let retry = given(1);
    let gave_up = retry
        .call(
            Terms::repeatable(),
            |_| Retryable::unknown(),
            |attempt| async move { Err::<(), _>(format!("reset {attempt}")) },
        )
        .await
        .unwrap_err();
    assert_eq!(
        gave_up.to_string(),
        "reset 3 (attempt 3; no attempt is left)"
    );
    let gave_up = retry
        .call(
            Terms::once(),
            |_| Retryable::unknown(),
            |_| async { Err::<(), _>("reset") },
        )
        .await
        .unwrap_err();
    assert_eq!(
        (gave_up.attempts, gave_up.stopped),
        (1, Stopped::NotRepeatable)
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_budget_stops_retries_but_no_first_call() {
    let retry = given(1);
    let sent = AtomicU32::new(0);
    for _ in 0..100 {
        let call = |_| {
            sent.fetch_add(1, Ordering::Relaxed);
            async { Err::<(), _>(()) }
        };
        let not_done = |_: &()| Retryable::NotDone {
            after: Some(Duration::ZERO),
        };
        let _ = retry.call(Terms::once(), not_done, call).await;
    }
    let sent = sent.into_inner();
    // 100 first calls, 10 saved, 10 earned, and one for each second that passed in waits.
    assert!((115..=130).contains(&sent), "{sent}");
}

#[derive(Clone)]
struct Everything;

impl RetryRule<(Arc<Mutex<Vec<u32>>>, u32), &'static str> for Everything {
    fn terms(&self, _: &(Arc<Mutex<Vec<u32>>>, u32)) -> Terms {
        Terms::repeatable()
    }

    fn retryable(&self, _: &&'static str) -> Retryable {
        Retryable::unknown()
    }

    fn mark(&self, request: &mut (Arc<Mutex<Vec<u32>>>, u32), attempt: u32) {
        request.1 = attempt;
    }
}

#[tokio::test(start_paused = true)]
async fn the_layer_marks_each_attempt() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn(|(seen, attempt): (Arc<Mutex<Vec<u32>>>, u32)| async move {
        seen.lock().push(attempt);
        if attempt == 3 {
            Ok("done")
        } else {
            Err("reset")
        }
    });
    let service = given(1).layer(Everything).layer(service);
    assert_eq!(service.oneshot((seen.clone(), 0)).await.unwrap(), "done");
    assert_eq!(*seen.lock(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_whose_caller_leaves_while_it_waits_costs_nothing() {
    let retry = given(1);
    let patience = Duration::from_millis(10);
    let later = Retryable::of_grpc(14).with_pushback(Some("300"));
    for _ in 0..20 {
        let down = |_| async { Err::<(), _>("down") };
        let call = retry.call(Terms::repeatable(), |_| later, down);
        assert!(tokio::time::timeout(patience, call).await.is_err());
    }
    assert_eq!(retry.budget().left(Moment::now()), 10.0);
}
