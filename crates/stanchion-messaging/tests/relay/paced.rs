//! How quickly a key goes on: what is new, and what waited behind a dead letter.

use std::sync::atomic::Ordering;

use stanchion_messaging::{ConsumerLimits, ConsumerStore, Contract, DeadLetterFilter, ParkedState};

use crate::world::{Scraped, World};
use crate::{WALLS, sleep};

#[tokio::test(start_paused = true)]
async fn a_key_has_its_rate_and_others_do_not_wait_for_it() {
    let world = World::new(11);
    world.start_relay();
    world.start(world.consumer(ConsumerLimits {
        keys_max: 2,
        rate_per_key: Some(2),
        ..ConsumerLimits::default()
    }));
    for coat in 0..10 {
        world.paint("a", coat);
    }
    for wall in WALLS {
        world.announce(Scraped::NAME, wall, 99);
    }
    sleep(2_200).await;
    {
        let seen = world.seen.lock();
        assert!((3..=6).contains(&seen["a"].len()), "{:?}", seen["a"]);
        assert!(WALLS[1..].iter().all(|wall| seen.contains_key(*wall)));
    }
    world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn what_waited_behind_a_dead_letter_keeps_the_rate_of_its_key() {
    let world = World::new(12);
    world.start_relay();
    world.start(world.consumer(ConsumerLimits {
        attempts_max: 1,
        rate_per_key: Some(2),
        ..ConsumerLimits::default()
    }));
    world.fails.store(100, Ordering::SeqCst);
    for coat in 0..10 {
        world.paint("a", coat);
    }
    sleep(1_000).await;
    let waits = world.consumers.counts("painter").await.unwrap();
    assert_eq!(waits, [(ParkedState::Retry, 9), (ParkedState::Dead, 1)]);
    // Longer than its rate would have held back all that was put aside.
    sleep(10_000).await;
    world.fails.store(0, Ordering::SeqCst);
    redrive_dead(&world).await;
    sleep(2_200).await;
    let seen = world.seen.lock()["a"].len();
    assert!((3..=6).contains(&seen), "{seen} of 10 in two seconds");
    world.settle().await;
    assert_eq!(*world.seen.lock(), world.expected());
}

#[tokio::test(start_paused = true)]
async fn what_waited_behind_a_dead_letter_goes_on_without_a_look_for_each() {
    let world = World::new(13);
    world.start_relay();
    world.start(world.consumer(ConsumerLimits {
        attempts_max: 1,
        ..ConsumerLimits::default()
    }));
    world.fails.store(100, Ordering::SeqCst);
    for coat in 0..400 {
        world.paint("a", coat);
    }
    sleep(5_000).await;
    let waits = world.consumers.counts("painter").await.unwrap();
    assert_eq!(waits, [(ParkedState::Retry, 399), (ParkedState::Dead, 1)]);
    world.fails.store(0, Ordering::SeqCst);
    redrive_dead(&world).await;
    // A look is 5 ms after the attempt before it, at the soonest.
    sleep(1_500).await;
    assert_eq!(world.seen.lock()["a"].len(), 400);
    world.settle().await;
    assert_eq!(*world.seen.lock(), world.expected());
}

/// Makes the dead letters due again.
async fn redrive_dead(world: &World) {
    let dead = DeadLetterFilter {
        state: Some(ParkedState::Dead),
        limit: 10,
        ..DeadLetterFilter::default()
    };
    for letter in world.consumers.list(&dead).await.unwrap() {
        let (consumer, now) = ("painter", stanchion_runtime::clock::now());
        let redriven = world.consumers.redrive(consumer, letter.message.id, now);
        assert!(redriven.await.unwrap());
    }
}
