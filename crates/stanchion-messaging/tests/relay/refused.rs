//! Messages that the broker takes never, and groups that have no room.

use std::time::Duration;

use stanchion_messaging::{
    ConsumerStore, DeadLetterFilter, Parked, ParkedNote, ParkedState, RelayStore,
};
use uuid::Uuid;

use crate::world::{LOG, World};
use crate::{WALLS, paint, sleep};

/// The message of that position.
fn id(position: i64) -> Uuid {
    Uuid::from_u128(position as u128)
}

async fn letters(world: &World) -> Vec<Parked> {
    parked(world.relays.letters(), "relay-walls").await
}

async fn parked(store: &dyn ConsumerStore, consumer: &str) -> Vec<Parked> {
    let filter = DeadLetterFilter {
        consumer: Some(consumer.into()),
        limit: 10,
        ..DeadLetterFilter::default()
    };
    store.list(&filter).await.unwrap()
}

async fn redrive(store: &dyn ConsumerStore, letter: &Parked) -> bool {
    let (now, id) = (stanchion_runtime::clock::now(), letter.message.id);
    store.redrive(&letter.consumer, id, now).await.unwrap()
}

async fn holes(world: &World) -> usize {
    let marks = world.consumers.marks("painter").await.unwrap();
    marks.iter().filter(|it| it.ahead.is_some()).count()
}

/// Coats of one wall, of which the broker takes some never.
async fn refusing(world: &World, coats: std::ops::Range<usize>, refused: &[usize]) {
    for coat in coats {
        world.paint("a", coat);
        if refused.contains(&coat) {
            let mut state = world.broker.state.lock();
            state.refuses.insert(id(world.head().0));
        }
    }
}

/// So many coats of one wall, announced; their messages.
async fn announced(world: &World, coats: usize) -> Vec<Uuid> {
    world.start_relay();
    let mut ids = Vec::new();
    for coat in 1..=coats {
        world.paint("a", coat);
        ids.push(id(world.head().0));
    }
    sleep(5_000).await;
    ids
}

fn coats(world: &World) -> Vec<usize> {
    let seen = world.seen.lock();
    seen["a"].iter().map(|it| it.0).collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_broker_takes_never_is_put_aside_and_nobody_waits_for_it() {
    let world = World::new(20);
    world.start_relay();
    world.start_consumer();
    refusing(&world, 1..6, &[2, 3, 5]).await;
    // Beacons tell what was announced last, twice.
    sleep(60_000).await;
    assert_eq!(coats(&world), [1, 4]);
    assert_eq!(holes(&world).await, 0);
    let letters = letters(&world).await;
    let told: Vec<_> = letters.iter().map(|it| (it.state, &*it.reason)).collect();
    assert_eq!(told, [(ParkedState::Dead, "too large"); 3]);
    let kept = world.relays.kept("walls", LOG).unwrap();
    assert_eq!(kept.through.position, world.head());
    world.paint("a", 6);
    sleep(5_000).await;
    assert_eq!(coats(&world), [1, 4, 6]);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_put_aside_is_announced_when_an_operator_wants_it_and_has_one_effect() {
    let world = World::new(21);
    world.start_relay();
    world.start_consumer();
    refusing(&world, 1..5, &[2]).await;
    sleep(5_000).await;
    let letter = letters(&world).await.remove(0);
    let redriven = async || redrive(world.relays.letters(), &letter).await;
    assert!(redriven().await);
    sleep(5_000).await;
    let still = letters(&world).await.remove(0);
    assert_eq!(
        (still.state, still.attempts),
        (ParkedState::Dead, 1),
        "{}",
        still.reason
    );
    world.broker.state.lock().refuses.clear();
    assert!(redriven().await);
    sleep(5_000).await;
    assert!(letters(&world).await.is_empty());
    assert_eq!(coats(&world), [1, 3, 4, 2]);
    // Everything once more: it is in its line now, and was dealt with.
    world
        .relays
        .wish("walls", &Default::default())
        .await
        .unwrap();
    world.paint("a", 5);
    sleep(30_000).await;
    assert_eq!(coats(&world), [1, 3, 4, 2, 5]);
    assert_eq!(holes(&world).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_announced_again_goes_past_what_the_broker_takes_no_more() {
    let world = World::new(22);
    let ids = announced(&world, 5).await;
    // Before anybody read it the broker lost all, and takes less than before.
    world.broker.wipe();
    world.broker.state.lock().refuses.extend([ids[1], ids[3]]);
    world.start_consumer();
    sleep(60_000).await;
    assert_eq!(
        (coats(&world), letters(&world).await.len()),
        (vec![1, 3, 5], 2)
    );
    assert_eq!(holes(&world).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_line_whose_end_the_broker_takes_no_more_is_not_asked_for_for_ever() {
    let world = World::new(25);
    let ids = announced(&world, 5).await;
    // Its beacon has told of the last one, which is refused when it is announced again.
    world.broker.wipe();
    world.broker.state.lock().refuses.insert(ids[4]);
    world.start_consumer();
    sleep(90_000).await;
    assert_eq!(
        (coats(&world), letters(&world).await.len()),
        (vec![1, 2, 3, 4], 1)
    );
    assert_eq!(holes(&world).await, 0);
    world.paint("a", 6);
    sleep(30_000).await;
    assert_eq!(coats(&world), [1, 2, 3, 4, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_group_without_room_holds_nobody_up_and_asks_for_what_it_misses() {
    let world = World::new(23);
    world.broker.state.lock().room = 3;
    world.start_relay();
    paint(&world, 0..90);
    sleep(5_000).await;
    let kept = world.relays.kept("walls", LOG).unwrap();
    assert_eq!(kept.through.position, world.head(), "the relay waits");
    world.broker.state.lock().room = usize::MAX;
    world.start_consumer();
    world.settle().await;
    assert_eq!(*world.seen.lock(), world.expected());
    assert_eq!(world.seen.lock().len(), WALLS.len());
    assert_eq!(holes(&world).await, 0);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_ask_a_group_without_room_is_waited_for() {
    let world = World::without_asks(24);
    world.broker.state.lock().room = 3;
    world.start_relay();
    paint(&world, 0..90);
    sleep(5_000).await;
    let kept = world.relays.kept("walls", LOG).unwrap();
    assert!(kept.through.position < world.head());
    world.broker.state.lock().room = usize::MAX;
    world.start_consumer();
    world.settle().await;
    assert_eq!(*world.seen.lock(), world.expected());
}

/// Everything once more, of which the broker takes that one no more; its letter.
async fn announced_again_without(world: &World, refused: Uuid) -> Parked {
    world.broker.state.lock().refuses.insert(refused);
    let everything = Default::default();
    world.relays.wish("walls", &everything).await.unwrap();
    sleep(10_000).await;
    world.broker.state.lock().refuses.clear();
    letters(world).await.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_redriven_letter_of_a_repeat_has_no_second_effect_where_the_inbox_may_have_forgotten_it()
{
    let world = World::new(26);
    *world.walls.age.lock() = Duration::from_secs(8 * 24 * 3_600);
    world.start_relay();
    world.start_consumer();
    let mut ids = Vec::new();
    for coat in 1..4 {
        world.paint("a", coat);
        ids.push(id(world.head().0));
    }
    sleep(5_000).await;
    world.prune().await;
    let letter = announced_again_without(&world, ids[1]).await;
    // A relay without notes, which may be the next to have the lease, knows it by its reason.
    let told = letter
        .reason
        .starts_with("announced before and refused now");
    assert!(told && letter.note == Some(ParkedNote::AnnouncedBefore));
    assert!(redrive(world.relays.letters(), &letter).await);
    sleep(5_000).await;
    assert!(letters(&world).await.is_empty());
    assert_eq!(coats(&world), [1, 2, 3]);
    // Nobody waits for it.
    world.paint("a", 4);
    sleep(5_000).await;
    assert_eq!(coats(&world), [1, 2, 3, 4]);
    let consumers = world.consumers.as_ref();
    let doubtful = parked(consumers, "painter").await.remove(0);
    assert_eq!(
        (doubtful.message.id, doubtful.state),
        (ids[1], ParkedState::Dead)
    );
    // It is for an operator to say that it had none.
    assert!(redrive(consumers, &doubtful).await);
    sleep(5_000).await;
    assert_eq!(coats(&world), [1, 2, 3, 4, 2]);
    assert!(parked(consumers, "painter").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_redriven_letter_of_a_repeat_is_handled_by_who_has_not_come_so_far() {
    let world = World::new(27);
    *world.walls.age.lock() = Duration::from_secs(8 * 24 * 3_600);
    world.start_relay();
    world.paint("a", 1);
    let refused = id(world.head().0);
    sleep(5_000).await;
    world.broker.wipe();
    let letter = announced_again_without(&world, refused).await;
    assert!(redrive(world.relays.letters(), &letter).await);
    world.start_consumer();
    sleep(5_000).await;
    assert_eq!(coats(&world), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_line_whose_only_message_the_broker_takes_no_more_is_not_asked_for_for_ever() {
    let world = World::new(28);
    world.start_relay();
    world.paint("a", 1);
    sleep(5_000).await;
    // Its beacon has told of it, and there are no more of them once it is refused.
    world.broker.wipe();
    let only = id(world.head().0);
    world.broker.state.lock().refuses.insert(only);
    world.start_consumer();
    let asks = || {
        let state = world.broker.state.lock();
        let all = state.streams.iter().flatten();
        all.filter(|it| it.message.contract == "stanchion.redrive.v1")
            .count()
    };
    sleep(600_000).await;
    assert_eq!((letters(&world).await.len(), holes(&world).await), (1, 0));
    let before = asks();
    sleep(600_000).await;
    assert!(before > 0 && asks() == before, "{before} and {}", asks());
    world.paint("a", 2);
    sleep(30_000).await;
    assert_eq!(coats(&world), [2]);
}
