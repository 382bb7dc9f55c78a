//! Given, when, then: the queue, and the gate around it.

use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::time::{sleep, timeout};
use tower::{Layer, ServiceExt, service_fn};

use super::*;

const MS: Duration = Duration::from_millis(1);

fn given() -> Codel<u32> {
    Codel::new(&CodelSettings::default(), Moment::START)
}

fn at(millis: u32) -> Moment {
    Moment::START + MS * millis
}

fn push(
    queue: &mut Codel<u32>,
    millis: u32,
    priority: Priority,
    item: u32,
) -> Result<Option<u32>, u32> {
    queue.push(at(millis), priority, Deadline::NONE, item, 4)
}

#[test]
fn a_queue_that_empties_is_first_come_first_served() {
    let mut queue = given();
    for item in 1..=3 {
        push(&mut queue, 0, Priority::Normal, item).unwrap();
    }
    assert_eq!(queue.pop(at(90), Priority::Bulk).next, Some(1));
    assert_eq!(queue.pop(at(90), Priority::Bulk).next, Some(2));
}

#[test]
fn a_standing_queue_serves_the_newest_and_sheds_who_waited() {
    let mut queue = given();
    push(&mut queue, 0, Priority::Normal, 1).unwrap();
    push(&mut queue, 97, Priority::Normal, 2).unwrap();
    push(&mut queue, 99, Priority::Normal, 3).unwrap();
    let popped = queue.pop(at(101), Priority::Bulk);
    assert_eq!((popped.next, popped.shed), (Some(3), vec![1]));
    let popped = queue.pop(at(103), Priority::Bulk);
    assert_eq!((popped.next, popped.shed), (None, vec![2]));
    // Empty for a moment, it stands all the same: short waits empty it.
    push(&mut queue, 110, Priority::Normal, 4).unwrap();
    let popped = queue.pop(at(150), Priority::Bulk);
    assert_eq!((popped.next, popped.shed), (None, vec![4]));
    push(&mut queue, 260, Priority::Normal, 5).unwrap();
    assert_eq!(
        queue.pop(at(300), Priority::Bulk).next,
        Some(5),
        "nobody was shed for the interval"
    );
}

#[test]
fn the_important_goes_first_and_takes_the_place_of_the_unimportant() {
    let mut queue = given();
    push(&mut queue, 0, Priority::Bulk, 1).unwrap();
    push(&mut queue, 0, Priority::Background, 2).unwrap();
    push(&mut queue, 0, Priority::Bulk, 3).unwrap();
    push(&mut queue, 0, Priority::Normal, 4).unwrap();
    assert_eq!(push(&mut queue, 1, Priority::Critical, 5), Ok(Some(3)));
    assert_eq!(push(&mut queue, 1, Priority::Bulk, 6), Err(6));
    assert_eq!(queue.len(), 4);
    let order: Vec<_> = std::iter::from_fn(|| queue.pop(at(2), Priority::Bulk).next).collect();
    assert_eq!(order, [5, 4, 2, 1]);
}

#[test]
fn who_has_no_time_left_is_not_begun() {
    let mut queue = given();
    let soon = Deadline::at(at(20));
    queue.push(at(0), Priority::Normal, soon, 1, 4).unwrap();
    push(&mut queue, 0, Priority::Normal, 2).unwrap();
    let popped = queue.pop(at(16), Priority::Bulk);
    assert_eq!((popped.next, popped.shed), (Some(2), vec![1]));
}

#[test]
fn a_class_without_a_share_left_goes_on_waiting() {
    let mut queue = given();
    push(&mut queue, 0, Priority::Background, 1).unwrap();
    assert_eq!(queue.pop(at(1), Priority::Normal).next, None);
    assert_eq!(queue.pop(at(1), Priority::Background).next, Some(1));
}

fn gate(slots: u32) -> CodelGate {
    CodelGate::new(&CodelGateSettings {
        slots,
        ..CodelGateSettings::default()
    })
}

#[tokio::test(start_paused = true)]
async fn the_function_and_the_layer_share_the_slots_and_the_queue() {
    let gate = gate(2);
    let service = gate.layer().layer(service_fn(|()| async {
        sleep(20 * MS).await;
        Ok::<_, ()>(())
    }));
    // Normal calls may fill nine tenths of two slots, which is two; two wait, the rest is refused at once.
    let begun = Moment::now();
    let answers = join_all((0..6).map(|_| service.clone().oneshot(()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 4);
    assert!(Moment::now().since(begun) < 50 * MS);
    let place = gate
        .enter(Priority::Critical, Deadline::NONE)
        .await
        .unwrap();
    assert_eq!(gate.running(), 1);
    drop(place);
    assert_eq!(gate.call(async { Ok::<_, ()>(7) }).await, Ok(7));
    assert_eq!((gate.running(), gate.waiting()), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Calls that begin, wait, take and are dropped at random moments leave no place taken and nobody waiting.
    #[test]
    fn no_place_leaks_under_random_cancellation(
        calls in proptest::collection::vec((0..300_u32, 0..200_u32, 0..300_u32, 0..4_usize), 1..100),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let gate = gate(3);
            let calls = calls.iter().map(|(begin, take, patience, class)| {
                let gate = &gate;
                async move {
                    sleep(MS * *begin).await;
                    let call = async {
                        let _place = gate.enter(Priority::ALL[*class], Deadline::NONE).await?;
                        assert!(gate.running() <= 3 && gate.waiting() <= 3);
                        sleep(MS * *take).await;
                        Ok::<_, crate::Refusal>(())
                    };
                    let _ = timeout(MS * *patience, call).await;
                }
            });
            join_all(calls).await;
            assert_eq!((gate.running(), gate.waiting()), (0, 0));
        });
    }

    /// Whatever goes into the queue comes out once: as the next, shed, displaced, refused or still in it.
    #[test]
    fn each_entry_of_the_queue_has_exactly_one_fate(
        steps in proptest::collection::vec((0..3_u8, 0..4_usize, 0..30_u32), 1..200),
    ) {
        let (mut queue, mut millis, mut inside) = (given(), 0, std::collections::BTreeSet::new());
        for (number, (step, class, wait)) in (0_u32..).zip(steps) {
            millis += wait;
            if step < 2 {
                match push(&mut queue, millis, Priority::ALL[class], number) {
                    Ok(displaced) => {
                        inside.insert(number);
                        prop_assert!(displaced.is_none_or(|gone| inside.remove(&gone)));
                    }
                    Err(refused) => prop_assert_eq!(refused, number),
                }
            } else {
                let popped = queue.pop(at(millis), Priority::ALL[class]);
                prop_assert!(popped.next.into_iter().chain(popped.shed).all(|gone| inside.remove(&gone)));
            }
            prop_assert_eq!(queue.len(), inside.len());
            prop_assert!(queue.len() <= 4);
        }
    }
}
