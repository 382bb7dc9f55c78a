//! Given, when, then: a simulated server with slots and a queue inside, and calls that come whether it answers or not.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::time::{sleep, timeout};
use tower::{Layer, ServiceExt, service_fn};

use super::*;

/// What a simulated run gave.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Run {
    pub(super) answered: u32,
    pub(super) refused: u32,
    /// Nanoseconds, sorted.
    pub(super) times: Vec<u64>,
    pub(super) limit_max: u32,
    asked: BTreeMap<Priority, u32>,
    refused_of: BTreeMap<Priority, u32>,
}

/// A server that answers `slots` calls at a time, each in `service`; `rate` calls a second come for `span`.
pub(super) fn run(
    limit: &Adaptive,
    begin: &mut Moment,
    slots: usize,
    service: Duration,
    rate: u32,
    span: Duration,
) -> Run {
    run_mixed(
        limit,
        begin,
        slots,
        service,
        rate,
        span,
        &[Priority::Normal],
    )
}

/// The same with calls of several classes, one after the other.
pub(super) fn run_mixed(
    limit: &Adaptive,
    begin: &mut Moment,
    slots: usize,
    service: Duration,
    rate: u32,
    span: Duration,
    classes: &[Priority],
) -> Run {
    let mut result = Run::default();
    let mut free = BinaryHeap::from(vec![Reverse(*begin); slots]);
    let mut running: BinaryHeap<Reverse<(Moment, u64)>> = BinaryHeap::new();
    let mut places = std::collections::HashMap::new();
    let end = *begin + span;
    let (mut number, mut number_asked) = (0, 0_u64);
    while *begin < end {
        while let Some(Reverse((ended, which))) =
            running.peek().copied().filter(|call| call.0.0 <= *begin)
        {
            running.pop();
            let place: Place = places.remove(&which).unwrap();
            result
                .times
                .push(ended.since(place.began).as_nanos() as u64);
            place.finish_at(ended);
            result.answered += 1;
        }
        let class = classes[(number_asked % classes.len() as u64) as usize];
        number_asked += 1;
        *result.asked.entry(class).or_default() += 1;
        match limit.try_enter(*begin, class) {
            Ok(place) => {
                let Reverse(slot) = free.pop().unwrap();
                let ended = slot.max(*begin) + service;
                free.push(Reverse(ended));
                running.push(Reverse((ended, number)));
                places.insert(number, place);
                number += 1;
            }
            Err(_) => {
                result.refused += 1;
                *result.refused_of.entry(class).or_default() += 1;
            }
        }
        result.limit_max = result.limit_max.max(limit.limit());
        *begin = *begin + Duration::from_secs(1) / rate;
    }
    while let Some(Reverse((ended, which))) = running.pop() {
        let place: Place = places.remove(&which).unwrap();
        place.finish_at(ended);
    }
    result.times.sort_unstable();
    result
}

fn given(seed: u64) -> (Adaptive, Moment) {
    let begin = Moment::from_nanos(1_000_000_000);
    (
        Adaptive::with(&AdaptiveSettings::default(), Dice::seeded(seed), begin),
        begin,
    )
}

const SERVICE: Duration = Duration::from_millis(20);
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn under_ten_times_the_load_a_server_works_at_capacity_and_stays_fast() {
    // Ten slots of 20 ms are 500 calls a second; 5,000 come, for five minutes, so that probes are among them.
    for class in [Priority::Normal, Priority::Critical] {
        let (limit, mut now) = given(1);
        let mut run = |span| run_mixed(&limit, &mut now, 10, SERVICE, 5_000, span, &[class]);
        run(MINUTE);
        let result = run(MINUTE * 4);
        let goodput = f64::from(result.answered) / 240.0 / 500.0;
        let p99 = result.times[result.times.len() * 99 / 100];
        println!(
            "{class:?}: goodput {goodput}, p99 {p99} ns, limit at most {}",
            result.limit_max
        );
        assert!(goodput >= 0.95, "goodput {goodput}");
        assert!(
            p99 <= 40_000_000,
            "p99 {p99} ns, twice the idle time is allowed"
        );
        assert!(result.limit_max <= 25, "limit {}", result.limit_max);
    }
}

#[test]
fn critical_calls_get_through_twelve_times_their_number_of_others_without_a_queue() {
    for others in [Priority::Background, Priority::Bulk] {
        let mut classes = [others; 13];
        classes[0] = Priority::Critical;
        let (limit, mut now) = given(6);
        let result = run_mixed(&limit, &mut now, 10, SERVICE, 1_300, MINUTE * 4, &classes);
        let refused = result.refused_of.get(&Priority::Critical).copied();
        let through =
            1.0 - f64::from(refused.unwrap_or(0)) / f64::from(result.asked[&Priority::Critical]);
        println!(
            "beside {others:?}: critical {through}, {} answered",
            result.answered
        );
        assert!(through >= 0.994, "beside {others:?}: {through}");
    }
}

#[tokio::test(start_paused = true)]
async fn critical_calls_pass_the_others_in_the_queue() {
    let limit = Adaptive::with(&AdaptiveSettings::default(), Dice::seeded(7), Moment::now());
    let server = Arc::new(tokio::sync::Semaphore::new(10));
    let (asked, served) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let dice = Dice::seeded(8);
    for call in 0..1_300 * 60 {
        let class = if call % 13 == 0 {
            Priority::Critical
        } else {
            Priority::Normal
        };
        let (limit, server) = (limit.clone(), server.clone());
        let count = (class == Priority::Critical).then(|| (asked.clone(), served.clone()));
        drop(stanchion_runtime::task::spawn("call", async move {
            let place = limit.enter(class, Deadline::NONE).await;
            if let Ok(place) = &place {
                let _slot = server.acquire().await;
                sleep(SERVICE).await;
                let _ = place;
            }
            if let Some((asked, served)) = count {
                asked.fetch_add(1, Ordering::Relaxed);
                served.fetch_add(u32::from(place.is_ok()), Ordering::Relaxed);
            }
            place.map(Place::finish)
        }));
        sleep(dice.within(Duration::from_secs(2) / 1_300)).await;
    }
    let through =
        f64::from(served.load(Ordering::Relaxed)) / f64::from(asked.load(Ordering::Relaxed));
    println!(
        "critical {through} beside twelve times normal, limit {}",
        limit.limit()
    );
    assert!(through >= 0.994, "{through}");
}

#[test]
fn after_an_overload_nobody_is_refused_within_five_seconds() {
    for seed in 0..5 {
        let (limit, mut now) = given(seed);
        run(
            &limit,
            &mut now,
            10,
            SERVICE,
            5_000,
            MINUTE + Duration::from_secs(seed),
        );
        run(&limit, &mut now, 10, SERVICE, 300, Duration::from_secs(5));
        let result = run(&limit, &mut now, 10, SERVICE, 300, MINUTE);
        assert_eq!(result.refused, 0, "seed {seed}, limit {}", limit.limit());
    }
}

#[test]
fn it_does_not_grow_where_nobody_needs_it_and_keeps_nobody_out() {
    let (limit, mut now) = given(2);
    let result = run(&limit, &mut now, 10, SERVICE, 100, MINUTE);
    assert_eq!(result.refused, 0);
    assert!(limit.limit() <= 20);
}

#[test]
fn it_grows_with_a_server_that_can_do_more() {
    let (limit, mut now) = given(3);
    run(&limit, &mut now, 10, SERVICE, 5_000, MINUTE);
    assert!(limit.limit() < 30);
    let result = run(&limit, &mut now, 80, SERVICE, 5_000, MINUTE);
    assert!(limit.limit() >= 70, "limit {}", limit.limit());
    assert!(result.answered > 5_000);
}

#[test]
fn it_falls_to_one_or_two_where_only_one_at_a_time_is_answered() {
    let (limit, mut now) = given(4);
    run(&limit, &mut now, 10, SERVICE, 2_000, MINUTE);
    run(&limit, &mut now, 1, SERVICE, 2_000, MINUTE * 3);
    assert!(limit.limit() <= 2, "limit {}", limit.limit());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let all = |seed| {
        let (limit, mut now) = given(seed);
        (
            run(&limit, &mut now, 10, SERVICE, 1_000, MINUTE * 3),
            limit.limit(),
            now,
        )
    };
    assert_eq!(all(7), all(7));
}

#[test]
fn the_less_important_leave_room_for_the_more_important() {
    let (limit, now) = given(5);
    let mut places = Vec::new();
    for (class, part) in [
        (Priority::Bulk, 6),
        (Priority::Background, 12),
        (Priority::Normal, 18),
    ] {
        while let Ok(place) = limit.try_enter(now, class) {
            places.push(place);
        }
        assert_eq!(places.len(), part, "{class:?}");
    }
    assert!(limit.try_enter(now, Priority::Critical).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_waiting_call_begins_when_another_ends() {
    let settings = AdaptiveSettings {
        start: 1,
        ..AdaptiveSettings::default()
    };
    let limit = Adaptive::new(&settings);
    let place = limit.enter(Priority::Normal, Deadline::NONE).await.unwrap();
    let ended = async {
        sleep(Duration::from_millis(50)).await;
        drop(place);
    };
    let (waited, ()) = tokio::join!(limit.enter(Priority::Normal, Deadline::NONE), ended);
    drop(waited.unwrap());
    assert_eq!((limit.running(), limit.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_queue_allows_and_a_full_queue_refuses_at_once() {
    let settings = AdaptiveSettings {
        start: 1,
        ..AdaptiveSettings::default()
    };
    let limit = Adaptive::new(&settings);
    let _place = limit.enter(Priority::Normal, Deadline::NONE).await.unwrap();
    let begun = Moment::now();
    let asked = || async {
        (
            limit.enter(Priority::Normal, Deadline::NONE).await.is_ok(),
            Moment::now().since(begun),
        )
    };
    let (first, second) = tokio::join!(asked(), asked());
    assert_eq!(first, (false, Duration::from_millis(100)));
    assert_eq!(second, (false, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn the_layer_limits_a_service() {
    let settings = AdaptiveSettings {
        start: 1,
        ..AdaptiveSettings::default()
    };
    let limit = Adaptive::new(&settings);
    let service = limit.layer().layer(service_fn(|()| async {
        sleep(Duration::from_millis(500)).await;
        Ok::<_, ()>(())
    }));
    let answers = join_all((0..3).map(|_| service.clone().oneshot(()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(answers[2], Err(Failure::Refused(Refusal::Overloaded)));
}

#[tokio::test(start_paused = true)]
async fn the_layer_asks_each_request_for_its_class_and_deadline() {
    let settings = AdaptiveSettings {
        start: 10,
        ..AdaptiveSettings::default()
    };
    let limit = Adaptive::new(&settings);
    let service = limit
        .layer_by(|class: &Priority| (*class, Deadline::after(Moment::now(), SERVICE)))
        .layer(service_fn(|_: Priority| async {
            sleep(SERVICE * 100).await;
            Ok::<_, ()>(())
        }));
    let mut bulk: Vec<_> = (0..4)
        .map(|_| Box::pin(service.clone().oneshot(Priority::Bulk)))
        .collect();
    for call in &mut bulk {
        assert!(futures_util::poll!(call).is_pending());
    }
    assert_eq!(
        (limit.running(), limit.waiting()),
        (3, 1),
        "bulk may fill three tenths"
    );
    drop(bulk);
    assert_eq!((limit.running(), limit.waiting()), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Calls that begin, wait, take and are dropped at random moments leave no place taken and nobody waiting.
    #[test]
    fn no_place_leaks_under_random_cancellation(
        calls in proptest::collection::vec((0..300_u64, 0..200_u64, 0..300_u64, 0..4_usize), 1..100),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let settings = AdaptiveSettings { start: 3, ..AdaptiveSettings::default() };
            let limit = Adaptive::with(&settings, Dice::seeded(1), Moment::now());
            let calls = calls.iter().map(|(begin, take, patience, class)| {
                let limit = &limit;
                async move {
                    sleep(Duration::from_millis(*begin)).await;
                    let call = async {
                        let place = limit.enter(Priority::ALL[*class], Deadline::NONE).await?;
                        sleep(Duration::from_millis(*take)).await;
                        place.finish();
                        Ok::<_, Refusal>(())
                    };
                    let _ = timeout(Duration::from_millis(*patience), call).await;
                    assert!(limit.running() <= 100);
                }
            });
            join_all(calls).await;
            assert_eq!((limit.running(), limit.waiting()), (0, 0));
        });
    }
}

/// A server asks at once, to save most calls the way through the queue, and then waits.
#[tokio::test(start_paused = true)]
async fn who_asks_at_once_and_then_waits_makes_the_limit_felt_once() {
    let settings = AdaptiveSettings {
        start: 1,
        min: 1,
        max: 1,
        ..AdaptiveSettings::default()
    };
    let limit = Adaptive::new(&settings);
    let held = limit.enter_at_once(Moment::now(), Priority::Normal);
    assert_eq!((held.is_some(), limit.felt()), (true, 0));
    for refused in 1..=3 {
        assert!(
            limit
                .enter_at_once(Moment::now(), Priority::Normal)
                .is_none()
        );
        let waited = limit.enter(Priority::Normal, Deadline::NONE).await;
        assert!(waited.is_err());
        assert_eq!(limit.felt(), refused);
    }
    assert!(limit.try_enter(Moment::now(), Priority::Normal).is_err());
    assert_eq!(limit.felt(), 4, "who does not wait counts as well");
}
