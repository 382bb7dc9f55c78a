//! Given, when, then, in paused time; and the turnstile against its model.

use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::*;

fn given(slots: u32, queue: u32) -> Bulkhead {
    Bulkhead::new(&BulkheadSettings {
        slots,
        queue,
        ..BulkheadSettings::default()
    })
}

async fn work(span: Duration) -> Result<(), ()> {
    sleep(span).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_slots_and_queue_are_refused_at_once() {
    let bulkhead = given(2, 3);
    let begun = Moment::now();
    let calls = (0..10).map(|_| bulkhead.call(work(Duration::from_millis(20))));
    let answers = join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 5);
    let refused = Err(Failure::Refused(Refusal::BulkheadFull));
    assert_eq!(
        answers.iter().filter(|answer| **answer == refused).count(),
        5
    );
    assert!(Moment::now().since(begun) < Duration::from_millis(70));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_call_waits_no_longer_than_allowed() {
    let bulkhead = given(1, 1);
    let _slot = bulkhead.try_enter().unwrap();
    let begun = Moment::now();
    assert_eq!(bulkhead.enter().await.unwrap_err(), Refusal::BulkheadFull);
    assert_eq!(Moment::now().since(begun).as_millis(), 100);
    assert_eq!(bulkhead.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn slots_go_out_in_the_order_of_asking() {
    let bulkhead = given(1, 3);
    let order = parking_lot::Mutex::new(Vec::new());
    let asked = |who: u32| {
        let (bulkhead, order) = (&bulkhead, &order);
        async move {
            let _slot = bulkhead.enter().await.unwrap();
            order.lock().push(who);
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::join!(asked(1), asked(2), asked(3), asked(4));
    assert_eq!(*order.lock(), [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_while_being_handed_a_slot_hands_it_on() {
    let bulkhead = given(1, 2);
    let slot = bulkhead.try_enter().unwrap();
    let mut first = Box::pin(bulkhead.enter());
    let mut second = Box::pin(bulkhead.enter());
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(slot);
    assert_eq!((bulkhead.running(), bulkhead.waiting()), (1, 1));
    // It has the slot and has not heard of it.
    drop(first);
    assert!(second.await.is_ok());
    assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn spawned_work_keeps_its_slot_when_the_caller_has_gone() {
    let bulkhead = given(1, 0);
    let (finish, finished) = oneshot::channel::<()>();
    let caller = async {
        let task = bulkhead.spawn("work", finished).await.unwrap();
        task.await
    };
    assert!(timeout(Duration::from_millis(10), caller).await.is_err());
    assert_eq!(bulkhead.running(), 1, "the work still runs");
    finish.send(()).unwrap();
    tokio::task::yield_now().await;
    assert_eq!(bulkhead.running(), 0);
}

#[tokio::test]
async fn a_panic_frees_the_slot() {
    let bulkhead = given(1, 0);
    let inside = bulkhead.clone();
    let call = async move {
        inside
            .call(async { panic!("a bug") as Result<(), ()> })
            .await
    };
    assert!(task::spawn("call", call).await.is_err());
    assert_eq!(bulkhead.running(), 0);
}

/// What may be done to a turnstile, in any order.
#[derive(Debug, Clone, Copy)]
enum Step {
    Enter,
    Wait,
    Leave,
    GiveUp(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Enter),
        3 => Just(Step::Wait),
        4 => Just(Step::Leave),
        2 => any::<usize>().prop_map(Step::GiveUp),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    /// Beside a list of who waits and a number of who is in, the turnstile says the same at every step.
    #[test]
    fn a_turnstile_does_as_its_model_does(steps in steps(), slots in 1..4_u32, places in 0..4_u32) {
        let turnstile = Turnstile::new(slots, places);
        let (mut running, mut line, mut next) = (0, Vec::<(u64, u32)>::new(), 0_u32);
        for step in steps {
            let is_free = running < slots && line.is_empty();
            match step {
                Step::Enter => {
                    prop_assert_eq!(turnstile.enter(), is_free);
                    running += u32::from(is_free);
                }
                Step::Wait => {
                    next += 1;
                    match turnstile.wait(next) {
                        Asked::Slot => { prop_assert!(is_free); running += 1; }
                        Asked::Full => prop_assert!(!is_free && line.len() as u32 == places),
                        Asked::Place(number) => {
                            prop_assert!(!is_free && (line.len() as u32) < places);
                            line.push((number, next));
                        }
                    }
                }
                Step::Leave if running > 0 => {
                    let first = (!line.is_empty()).then(|| line.remove(0).1);
                    prop_assert_eq!(turnstile.leave(), first);
                    running -= u32::from(first.is_none());
                }
                Step::GiveUp(which) if !line.is_empty() => {
                    let (number, _) = line.remove(which % line.len());
                    prop_assert_eq!(turnstile.give_up(number), Had::Place);
                    prop_assert_eq!(turnstile.give_up(number), Had::Slot, "no longer in the line");
                }
                Step::Leave | Step::GiveUp(_) => {}
            }
            prop_assert_eq!((turnstile.running(), turnstile.waiting()), (running, line.len() as u32));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Calls that begin, take and are dropped at random moments leave nothing behind.
    #[test]
    fn no_slot_and_no_place_leaks_under_random_cancellation(
        calls in proptest::collection::vec((0..200_u64, 0..200_u64, 0..200_u64), 1..100),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let bulkhead = given(3, 4);
            let calls = calls.iter().map(|(begin, take, patience)| {
                let bulkhead = &bulkhead;
                async move {
                    sleep(Duration::from_millis(*begin)).await;
                    let call = bulkhead.call(work(Duration::from_millis(*take)));
                    let _ = timeout(Duration::from_millis(*patience), call).await;
                    assert!(bulkhead.running() <= 3 && bulkhead.waiting() <= 4);
                }
            });
            join_all(calls).await;
            assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
        });
    }
}
