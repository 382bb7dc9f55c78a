//! A context's log through a broker to a consumer: whatever happens between them, each message has one effect, in order by
//! key, and none is lost.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod broker;
mod memory;
mod paced;
mod refused;
mod unwell;
mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use broker::{Dice, Trap};
use stanchion_messaging::{
    AfterLastAttempt, ConsumerLimits, ConsumerStore, Contract, DeadLetterFilter, ParkedState,
    Position, Redrive, RelayStore,
};
use world::{LOG, Painted, Scraped, Seen, World};

const WALLS: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];

fn paint(world: &World, coats: std::ops::Range<usize>) {
    for coat in coats {
        let contract = if coat % 3 == 0 {
            Scraped::NAME
        } else {
            Painted::NAME
        };
        world.announce(contract, WALLS[coat % WALLS.len()], coat);
    }
}

async fn sleep(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_announced_is_handled_once_in_order_by_key() {
    let world = World::new(1);
    world.start_relay();
    world.start_consumer();
    paint(&world, 0..200);
    world.settle().await;
    assert_eq!(*world.seen.lock(), world.expected());
    let kept = world.relays.kept("walls", LOG).unwrap();
    assert_eq!(kept.through.position, world.head());
}

#[tokio::test(start_paused = true)]
async fn a_relay_killed_at_any_step_loses_nothing_and_mixes_no_key_up() {
    let points = [
        Trap::BeforePublish,
        Trap::AfterPublish,
        Trap::BeforeSave,
        Trap::AfterSave,
    ];
    for trap in points {
        for step in 1..=12 {
            let world = World::new(step as u64);
            world.broker.state.lock().trap = Some((trap, step));
            paint(&world, 0..40);
            world.start_consumer();
            world.start_relay();
            let caught = async {
                let mut coat = 40;
                loop {
                    tokio::select! {
                        () = world.broker.trapped.notified() => break,
                        () = sleep(100) => { paint(&world, coat..coat + 1); coat += 1; }
                    }
                }
            };
            let caught = tokio::time::timeout(Duration::from_secs(600), caught).await;
            assert!(caught.is_ok(), "{trap:?} {step}: never came there");
            world.kill_relay();
            world.broker.heal();
            world.start_relay();
            paint(&world, 1_000..1_020);
            world.settle().await;
            assert_eq!(*world.seen.lock(), world.expected(), "{trap:?} {step}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_broker_is_away_the_log_grows_and_all_of_it_arrives_afterwards() {
    let world = World::new(2);
    world.start_relay();
    world.start_consumer();
    paint(&world, 0..50);
    sleep(5_000).await;
    world.broker.state.lock().down = true;
    for minute in 0..10 {
        paint(&world, 50 + minute * 100..150 + minute * 100);
        sleep(60_000).await;
    }
    world.broker.heal();
    world.settle().await;
    assert_eq!(*world.seen.lock(), world.expected());
}

async fn a_lost_store_is_filled_again(world: World) {
    world.start_relay();
    paint(&world, 0..50);
    sleep(5_000).await;
    world.broker.wipe();
    world.start_consumer();
    world.settle().await;
    assert_eq!(*world.seen.lock(), world.expected());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_lost_is_noticed_though_nothing_new_is_announced() {
    a_lost_store_is_filled_again(World::new(3)).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_lost_while_nothing_is_confirmed_is_told_of_as_soon_as_something_is() {
    let world = World::new(13);
    world.start_relay();
    world.paint("a", 1);
    // Beacons are sent by themselves at 0, 20 and 40 seconds.
    sleep(21_000).await;
    world.broker.wipe();
    world.broker.state.lock().lost_confirmations = 100;
    world.paint("b", 2);
    sleep(4_000).await;
    world.broker.heal();
    world.start_consumer();
    sleep(12_000).await;
    assert_eq!(*world.seen.lock(), world.expected());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_lost_is_filled_again_by_a_relay_that_cannot_be_asked() {
    a_lost_store_is_filled_again(World::without_asks(3)).await;
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_confirmed_and_lost_is_asked_for_within_a_minute() {
    let world = World::new(4);
    world.start_relay();
    paint(&world, 0..50);
    sleep(5_000).await;
    world.broker.forget_last(2);
    world.start_consumer();
    let start = tokio::time::Instant::now();
    world.settle().await;
    // With the 25 s that `settle` waits for what may come twice.
    assert!(
        start.elapsed() < Duration::from_secs(120),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(*world.seen.lock(), world.expected());
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_a_hole_waits_for_what_is_missing() {
    let world = World::new(5);
    world.start_relay();
    world.paint("a", 1);
    sleep(5_000).await;
    world.broker.forget_last(1);
    world.paint("a", 2);
    sleep(100).await;
    world.start_consumer();
    world.settle().await;
    assert_eq!(world.seen.lock()["a"], [(1, true), (2, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_stale_holder_of_the_lease_is_refused_and_another_goes_on() {
    let world = World::new(6);
    world.start_relay();
    world.start_consumer();
    paint(&world, 0..20);
    sleep(5_000).await;
    // Another process has taken over while this one was paused.
    let kept = world.relays.kept("walls", LOG).unwrap();
    world.relays.release("walls", 1).await.unwrap();
    let token = world
        .relays
        .take("walls", Duration::from_secs(5))
        .await
        .unwrap()
        .unwrap();
    world.relays.load("walls", LOG, token).await.unwrap();
    paint(&world, 20..40);
    sleep(1_000).await;
    assert_eq!(
        world.relays.kept("walls", LOG).unwrap(),
        kept,
        "a stale holder wrote"
    );
    world.settle().await;
    assert_eq!(*world.seen.lock(), world.expected());
    assert!(world.relays.kept("walls", LOG).unwrap().through.position > kept.through.position);
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_wants_is_announced_again_with_the_same_ids_and_no_second_effect() {
    let world = World::new(7);
    world.start_relay();
    world.start_consumer();
    paint(&world, 0..30);
    world.settle().await;
    world.prune().await;
    let count = |world: &World| {
        world
            .broker
            .state
            .lock()
            .streams
            .iter()
            .flatten()
            .filter(|it| {
                it.message.contract != "stanchion.redrive.v1"
                    && !it.message.contract.ends_with(".v0")
            })
            .count()
    };
    assert_eq!(count(&world), 30);
    let wish = Redrive {
        after: Position(10),
        through: Some(Position(20)),
        ..Redrive::default()
    };
    world.relays.wish("walls", &wish).await.unwrap();
    sleep(10_000).await;
    let again = count(&world) - 30;
    assert!((3..=10).contains(&again), "{again} were announced again");
    assert!(world.relays.wishes("walls").await.unwrap().is_empty());
    paint(&world, 30..40);
    world.settle().await;
    assert_eq!(*world.seen.lock(), world.expected());
}

#[tokio::test(start_paused = true)]
async fn a_long_handling_is_extended_and_other_keys_go_on_beside_it() {
    let world = World::new(8);
    world.fails.store(0, Ordering::SeqCst);
    let slow = world.consumer(ConsumerLimits {
        extend_every: Duration::from_millis(100),
        ..ConsumerLimits::default()
    });
    let slow = slow.on(|it: Painted, _| async move {
        let long = if it.wall == "a" { 20 } else { 0 };
        tokio::time::sleep(Duration::from_secs(long)).await;
        Ok(())
    });
    world.start(slow);
    world.start_relay();
    world.paint("a", 0);
    for coat in 1..200 {
        world.announce(Scraped::NAME, WALLS[1 + coat % 8], coat);
    }
    sleep(10_000).await;
    let seen: usize = world.seen.lock().values().map(Vec::len).sum();
    assert_eq!(seen, 199);
    assert!(world.broker.state.lock().extended > 50);
}

#[tokio::test(start_paused = true)]
async fn what_it_does_not_know_waits_for_an_upgrade_and_is_handled_then_in_order() {
    let world = World::new(9);
    world.start_relay();
    // The older version handles paint alone.
    let store = std::sync::Arc::clone(&world.consumers);
    let broker = std::sync::Arc::new(broker::Handle(std::sync::Arc::clone(&world.broker)));
    let seen = std::sync::Arc::clone(&world.seen);
    let older =
        stanchion_messaging::Consumer::new("painter", store, broker).on(move |it: Painted, _| {
            seen.lock()
                .entry(it.wall)
                .or_default()
                .push((it.coat, true));
            async { Ok(()) }
        });
    world.start(older);
    world.paint("a", 1);
    world.announce("walls.painted.v2", "a", 2);
    world.paint("a", 3);
    world.paint("b", 4);
    sleep(5_000).await;
    let states = async || {
        let filter = DeadLetterFilter {
            limit: 10,
            ..DeadLetterFilter::default()
        };
        let parked = world.consumers.list(&filter).await.unwrap();
        parked.iter().map(|it| it.state).collect::<Vec<_>>()
    };
    assert_eq!(states().await, [ParkedState::Unknown, ParkedState::Retry]);
    assert_eq!(world.seen.lock()["a"], [(1, true)]);
    assert_eq!(world.seen.lock()["b"], [(4, true)]);
    world.kill_consumer();

    #[derive(serde::Serialize, serde::Deserialize)]
    struct PaintedAgain(Painted2);
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Painted2 {
        wall: String,
        coat: usize,
    }
    impl Contract for PaintedAgain {
        const NAME: &'static str = "walls.painted.v2";
        fn key(&self) -> String {
            self.0.wall.clone()
        }
    }
    let seen = std::sync::Arc::clone(&world.seen);
    let newer = world.consumer(ConsumerLimits::default());
    world.start(newer.on(move |it: PaintedAgain, _| {
        seen.lock()
            .entry(it.0.wall)
            .or_default()
            .push((it.0.coat, false));
        async { Ok(()) }
    }));
    sleep(5_000).await;
    assert!(states().await.is_empty());
    assert_eq!(world.seen.lock()["a"], [(1, true), (2, false), (3, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_key_goes_on_without_its_dead_letter_where_that_was_chosen() {
    let world = World::new(10);
    world.start_relay();
    let seen = std::sync::Arc::clone(&world.seen);
    let choosy = world.consumer(ConsumerLimits {
        attempts_max: 1,
        after_last_attempt: AfterLastAttempt::KeyGoesOn,
        ..ConsumerLimits::default()
    });
    world.start(choosy.on(move |it: Painted, _| {
        let result = if it.coat == 2 {
            Err(stanchion_messaging::HandlerError::Failed("no".into()))
        } else {
            seen.lock()
                .entry(it.wall)
                .or_default()
                .push((it.coat, true));
            Ok(())
        };
        async { result }
    }));
    for coat in 1..=4 {
        world.paint("a", coat);
        sleep(1_000).await;
    }
    assert_eq!(world.seen.lock()["a"], [(1, true), (3, true), (4, true)]);
}

/// Everything at once, as the seed has it: `STANCHION_SEEDS` says how many seeds, from which one on.
#[tokio::test(start_paused = true)]
async fn whatever_happens_each_message_has_one_effect_in_order_by_key() {
    let seeds = std::env::var("STANCHION_SEEDS").unwrap_or_else(|_| "40".into());
    let (first, count) = seeds.split_once('+').unwrap_or(("0", &seeds));
    let (first, count): (u64, u64) = (first.parse().unwrap(), count.parse().unwrap());
    for seed in first..first + count {
        eprintln!("seed {seed}");
        chaos(seed, seed % 2 == 0).await;
    }
}

async fn chaos(seed: u64, loses: bool) {
    let world = World::new(seed);
    let mut dice = Dice::new(seed + 2);
    world.start_relay();
    world.start_consumer();
    let mut coat = 0;
    for _ in 0..60 {
        let more = dice.below(8);
        paint(&world, coat..coat + more);
        coat += more;
        match dice.below(14) {
            0 => world.broker.state.lock().down = true,
            1 | 2 => world.broker.heal(),
            3 => world.broker.state.lock().lost_confirmations = 30,
            4 => world.broker.state.lock().repeats = 30,
            5 => world.fails.store(20, Ordering::SeqCst),
            6 => world.kill_relay(),
            7 => world.start_relay(),
            8 => world.kill_consumer(),
            // Two members of a group at a time are tested with real brokers: they share partitions out.
            9 => {
                world.kill_consumer();
                world.start_consumer();
            }
            10 if loses => world.broker.wipe(),
            11 if loses => world.broker.forget_last(1 + dice.below(3)),
            12 => world.prune().await,
            _ => {}
        }
        sleep(dice.below(3_000) as u64).await;
    }
    world.broker.heal();
    world.fails.store(0, Ordering::SeqCst);
    world.kill_consumer();
    world.start_consumer();
    world.start_relay();
    world.settle().await;
    let (seen, expected) = (world.seen.lock().clone(), world.expected());
    let of = |it: &Seen| [World::only(it, true), World::only(it, false)];
    assert_eq!(of(&seen), of(&expected), "seed {seed}");
    if !loses {
        assert_eq!(
            seen, expected,
            "seed {seed}: two families of a key were mixed up"
        );
    }
}
