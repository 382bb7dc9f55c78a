//! What a call says to its caller, and what it says of the dependency.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_caller_with_hardly_any_time_does_not_open_the_breaker_for_the_others() {
    let policy = given(|settings| settings.retry_on = false);
    let slow = |_| async {
        sleep(20 * MS).await;
        Ok::<_, ()>(())
    };
    for _ in 0..100 {
        let hasty = Terms::once().until(Deadline::after(Moment::now(), 10 * MS));
        let late = policy.call(hasty, &EveryError, slow).await.unwrap_err();
        assert_eq!(late.last, Failure::TimedOut(10 * MS));
    }
    assert_eq!(policy.breaker().unwrap().state(), State::Closed);
    assert_eq!(policy.call(Terms::once(), &EveryError, slow).await, Ok(()));
    for _ in 0..100 {
        let patient = Terms::once().until(Deadline::after(Moment::now(), 300 * MS));
        let _ = policy
            .call(patient, &EveryError, |_| {
                std::future::pending::<Result<(), ()>>()
            })
            .await;
    }
    assert_ne!(
        policy.breaker().unwrap().state(),
        State::Closed,
        "300 ms without an answer is slow by any measure"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_gives_up_when_it_was_told_to_is_not_blamed_for_its_caller() {
    let policy = given(|settings| settings.retry_on = false);
    let fails = |after: Duration| {
        let policy = policy.clone();
        async move {
            let hasty = Terms::once().until(Deadline::after(Moment::now(), 10 * MS));
            let gave_up = policy.call(hasty, &EveryError, |_| async move {
                sleep(after).await;
                Err::<(), _>("no time left")
            });
            assert_eq!(
                gave_up.await.unwrap_err().last,
                Failure::Remote("no time left")
            );
        }
    };
    for _ in 0..100 {
        fails(9 * MS).await;
    }
    assert_eq!(policy.breaker().unwrap().state(), State::Closed);
    for _ in 0..20 {
        fails(MS).await;
    }
    assert_ne!(
        policy.breaker().unwrap().state(),
        State::Closed,
        "it had time left"
    );
}

#[tokio::test(start_paused = true)]
async fn the_next_hop_is_told_so_much_less_as_the_way_costs() {
    let policy = given(|_| ());
    (0..100).for_each(|_| policy.hop_cost().learn(26 * MS, 20 * MS));
    let cost = policy.hop_cost().estimate();
    let terms = Terms::once().until(Deadline::after(Moment::now(), 100 * MS));
    let told = policy
        .call(terms, &EveryError, |attempt| async move {
            Ok::<_, ()>(attempt.left)
        })
        .await;
    assert_eq!(told, Ok(100 * MS - cost));
    let late = Terms::once().until(Deadline::after(Moment::now(), 10 * MS));
    let late = policy
        .call(late, &EveryError, |_| async { Ok::<_, ()>(()) })
        .await;
    assert_eq!(
        late.unwrap_err().last,
        Failure::Refused(Refusal::NoTimeLeft)
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_we_refuse_ourselves_costs_no_budget() {
    let policy = given(|settings| {
        settings.breaker_on = false;
        (settings.rate_on, settings.rate.burst) = (true, 1);
        settings.rate.per_second = 0.01;
        // None is earned meanwhile.
        let budget = &mut settings.retry.budget;
        (budget.share, budget.per_second) = (0.0, 0.001);
    });
    let budget = policy.retry().unwrap().budget().clone();
    let before = budget.left(Moment::now());
    let failed = policy.call(Terms::read(), &EveryError, |_| async {
        Err::<(), _>("down")
    });
    let failed = failed.await.unwrap_err();
    assert!(
        matches!(
            (failed.last, failed.stopped),
            (
                Failure::Remote("down"),
                Stopped::Refused(Refusal::RateLimited { .. })
            )
        ),
        "the second attempt is refused"
    );
    let spent = before - budget.left(Moment::now());
    assert!(spent < 0.01, "{spent}");
}

#[tokio::test(start_paused = true)]
async fn a_predicate_and_a_listener_reach_its_breaker() {
    let told = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let heard = told.clone();
    let metrics = Metrics::default();
    let policy = Policy::builder("bank", &PolicySettings::default())
        .metrics(&metrics)
        .ready_to_trip(|counts| counts.failures_in_row >= 2)
        .on_state_change(move |change| heard.lock().push(change.to))
        .build();
    for _ in 0..2 {
        let _ = policy
            .call(Terms::once(), &EveryError, |_| async {
                Err::<(), _>("down")
            })
            .await;
    }
    assert_eq!(*told.lock(), [State::Open]);
    let line = "policy_breaker_state{dependency=\"bank\"} 1";
    assert!(metrics.encode().contains(line), "the metric hears it too");
}

#[tokio::test(start_paused = true)]
async fn a_second_try_that_was_not_sent_does_not_hide_what_the_first_gave() {
    let policy = given(|settings| {
        settings.retry_on = false;
        (settings.bulkhead.slots, settings.bulkhead.queue) = (1, 0);
    });
    (0..100).for_each(|_| policy.hedge().unwrap().learn(20 * MS));
    // The share of second tries must be saved up first.
    for _ in 0..40 {
        policy
            .call(Terms::read(), &EveryError, |_| async { Ok::<_, &str>(()) })
            .await
            .unwrap();
    }
    let slow = |_| async {
        sleep(100 * MS).await;
        Err::<(), _>("down")
    };
    let gave_up = policy.call(Terms::read(), &EveryError, slow).await;
    assert_eq!(gave_up.unwrap_err().last, Failure::Remote("down"));
}

#[tokio::test(start_paused = true)]
async fn what_the_bulkhead_sheds_does_not_make_the_throttle_think_the_dependency_refuses() {
    let policy = given(|settings| {
        settings.throttle_on = true;
        (settings.retry_on, settings.hedge_on) = (false, false);
        (settings.bulkhead.slots, settings.bulkhead.queue) = (1, 0);
    });
    let slow = |_| async {
        sleep(20 * MS).await;
        Ok::<_, ()>(())
    };
    for _ in 0..20 {
        let calls = (0..20).map(|_| policy.call(Terms::once(), &EveryError, slow));
        let answers = join_all(calls).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    }
    let share = policy.throttle().unwrap().refused_share(Moment::now());
    assert_eq!(share, 0.0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_place_waits_until_the_deadline_at_most() {
    let full = given(|settings| {
        (settings.bulkhead.slots, settings.bulkhead.wait) = (1, 5_000 * MS);
    });
    let _slot = full.bulkhead().unwrap().try_enter().unwrap();
    let loaded = given(|settings| {
        settings.adaptive_on = true;
        (settings.adaptive.start, settings.adaptive.max) = (1, 1);
        settings.adaptive.queue.interval = 5_000 * MS;
    });
    let limit = loaded.adaptive().unwrap();
    let _place = limit.try_enter(Moment::now(), crate::Priority::Normal);
    for (policy, refusal) in [(&full, Refusal::NoTimeLeft), (&loaded, Refusal::Overloaded)] {
        let begun = Moment::now();
        let hasty = Terms::once().until(Deadline::after(begun, 20 * MS));
        let refused = policy
            .call(hasty, &EveryError, |_| async { Ok::<_, ()>(()) })
            .await;
        assert_eq!(refused.unwrap_err().last, Failure::Refused(refusal));
        let waited = Moment::now().since(begun);
        assert!(waited <= 21 * MS, "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_can_wait_leave_slots_to_those_that_cannot() {
    let policy = given(|settings| settings.bulkhead.slots = 10);
    let bulkhead = policy.bulkhead().unwrap();
    let call = |priority| {
        let terms = Terms::once().of_priority(priority);
        policy.call(terms, &EveryError, |_| async { Ok::<_, ()>(()) })
    };
    let mut held = Vec::new();
    for (running, expected) in [(2, 4), (3, 3), (5, 3), (6, 2), (9, 2)] {
        while held.len() < running {
            held.push(bulkhead.try_enter().unwrap());
        }
        let mut passed = 0;
        for priority in crate::Priority::ALL {
            passed += u32::from(call(priority).await.is_ok());
        }
        assert_eq!(passed, expected, "of four classes, beside {running}");
    }
}
