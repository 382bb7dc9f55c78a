//! Given, when, then: a simulated dependency with a capacity.

use super::*;

/// Calls a second apart by `gap` for `span`; the dependency takes at most `capacity` a second.
fn run(throttle: &Throttle, now: &mut Moment, capacity: u32, span: Duration) -> (u32, u32) {
    let end = *now + span;
    let (mut sent, mut accepted, mut second, mut left) = (0, 0, *now, capacity);
    while *now < end {
        if now.since(second) >= Duration::from_secs(1) {
            (second, left) = (*now, capacity);
        }
        if throttle.admit(*now).is_ok() {
            sent += 1;
            if left > 0 {
                left -= 1;
                accepted += 1;
                throttle.accepted(*now);
            } else {
                throttle.not_accepted();
            }
        }
        *now = *now + Duration::from_millis(5);
    }
    (sent, accepted)
}

fn given(seed: u64) -> (Throttle, Moment) {
    let now = Moment::from_nanos(1_000_000_000);
    (
        Throttle::with(&ThrottleSettings::default(), Dice::seeded(seed), now),
        now,
    )
}

#[test]
fn a_healthy_dependency_is_never_spared() {
    let (throttle, mut now) = given(1);
    assert_eq!(
        run(&throttle, &mut now, 200, Duration::from_secs(600)),
        (120_000, 120_000)
    );
}

#[test]
fn an_overloaded_one_is_sent_about_twice_what_it_accepts() {
    let (throttle, mut now) = given(2);
    run(&throttle, &mut now, 20, Duration::from_secs(240));
    let (sent, accepted) = run(&throttle, &mut now, 20, Duration::from_secs(240));
    let times = f64::from(sent) / f64::from(accepted);
    assert!(
        (1.5..=2.2).contains(&times),
        "sent {times} times what was accepted"
    );
}

#[test]
fn a_dead_one_is_probed_once_a_second_and_found_again() {
    let (throttle, mut now) = given(3);
    run(&throttle, &mut now, 0, Duration::from_secs(240));
    let (sent, _) = run(&throttle, &mut now, 0, Duration::from_secs(100));
    assert!((95..=115).contains(&sent), "{sent} probes in 100 s");
    run(&throttle, &mut now, 200, Duration::from_secs(240));
    assert!(throttle.refused_share(now) < 0.01);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let all = |seed| {
        let (throttle, mut now) = given(seed);
        run(&throttle, &mut now, 20, Duration::from_secs(60))
    };
    assert_eq!(all(7), all(7));
}

#[tokio::test(start_paused = true)]
async fn callers_that_go_away_say_nothing_of_the_dependency() {
    let throttle = Throttle::new(&ThrottleSettings::default());
    for _ in 0..200 {
        let call = throttle.call(std::future::pending::<Result<(), ()>>());
        let gone = tokio::time::timeout(Duration::from_millis(5), call).await;
        assert!(gone.is_err(), "it was sent, and nobody waited");
    }
    assert_eq!(throttle.refused_share(Moment::now()), 0.0);
    for _ in 0..200 {
        let _ = throttle.call(async { Err::<(), _>("429") }).await;
    }
    assert!(throttle.refused_share(Moment::now()) > 0.9);
}

#[tokio::test(start_paused = true)]
async fn many_at_once_at_the_start_are_not_spared() {
    let throttle = Throttle::new(&ThrottleSettings::default());
    let call = || async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, ()>(())
    };
    let answers = futures_util::future::join_all((0..25).map(|_| throttle.call(call()))).await;
    assert!(answers.iter().all(Result::is_ok), "nobody knows it yet");
}
