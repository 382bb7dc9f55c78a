//! A process manager on both databases: upgrades, poison, timers, restarts, and what an operator sees of them.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;
#[path = "../../../stanchion-eventsourcing/tests/processes/trip.rs"]
mod trip;
mod world;

use stanchion_eventsourcing::{InstanceState, NotDone, OperatedProcess};
use stanchion_runtime::clock;
use trip::{STEP_TIMEOUT, Trip};
use world::worlds;

/// The code before an upgrade and after it, which may bring instances to the new definition.
type Before = Trip<1, 1, false>;
type After = Trip<1, 2, false>;
type Migrating = Trip<1, 2, true>;

#[tokio::test]
async fn an_instance_survives_an_upgrade_and_goes_on_by_its_own_definition() {
    for world in worlds().await {
        let old = world.run::<Before>();
        world.tell("old", "start").await;
        world.tell("old", "flight_booked").await;
        world.stands::<Before>("old", 1, "book_hotel").await;
        old.stop().await;

        let new = world.run::<After>();
        world.tell("new", "start").await;
        world.tell("new", "flight_booked").await;
        world.stands::<After>("new", 2, "book_hotel").await;
        world.tell("old", "hotel_booked").await;
        world.tell("new", "hotel_booked").await;
        world.ends::<After>("old", "travelling").await;
        world.stands::<After>("new", 2, "insure").await;
        new.stop().await;

        // And back: what the old code does not know waits for the new one.
        let old = world.run::<Before>();
        world.tell("new", "insured").await;
        world.tell("third", "start").await;
        world.stands::<Before>("third", 1, "book_flight").await;
        let waits = world.shown::<Before>("new").await.unwrap();
        assert_eq!((waits.definition, waits.state), (2, InstanceState::Running));
        old.stop().await;
        let new = world.run::<After>();
        world.ends::<After>("new", "travelling").await;
        new.stop().await;
    }
}

#[tokio::test]
async fn an_instance_is_migrated_at_the_next_thing_it_is_told() {
    for world in worlds().await {
        let old = world.run::<Before>();
        world.tell("1", "start").await;
        world.tell("1", "flight_booked").await;
        world.stands::<Before>("1", 1, "book_hotel").await;
        old.stop().await;
        let new = world.run::<Migrating>();
        world.tell("1", "hotel_booked").await;
        world.stands::<Migrating>("1", 2, "insure").await;
        world.listed("1 v2 running insure").await;
        world.tell("1", "insured").await;
        world.ends::<Migrating>("1", "travelling").await;
        world.listed("").await;
        new.stop().await;
    }
}

#[tokio::test]
async fn a_poison_message_pauses_its_instance_and_others_go_on() {
    for world in worlds().await {
        let code = world.run::<Before>();
        for trip in ["bad", "good"] {
            world.tell(trip, "start").await;
        }
        world.tell("bad", "strike").await;
        world.tell("bad", "flight_booked").await;
        let both = "bad v1 paused book_flight\ngood v1 running book_flight";
        world.listed(both).await;
        world.tell("good", "flight_booked").await;
        world.stands::<Before>("good", 1, "book_hotel").await;
        let bad = world.shown::<Before>("bad").await.unwrap();
        assert_eq!(bad.reason.as_deref(), Some("nobody thought of that"));
        assert_eq!(bad.compensations, ["return_flight"]);
        let happened: Vec<_> = bad.history.iter().map(|it| it.event.as_str()).collect();
        assert_eq!(happened, ["flight_asked", "process_paused"]);
        world.counts("paused", 1).await;

        // Going on with the same code pauses it again; nothing of it is lost.
        world.operator::<Before>().resume("bad").await.unwrap();
        world.paused_twice::<Before>("bad").await;
        code.stop().await;
        let mended = world.run::<After>();
        world.operator::<After>().resume("bad").await.unwrap();
        world.stands::<After>("bad", 1, "book_hotel").await;
        mended.stop().await;
    }
}

#[tokio::test]
async fn a_reason_that_a_database_does_not_take_halts_no_list() {
    for world in worlds().await {
        let code = world.run::<Before>();
        world.tell("bad", "start").await;
        world.stands::<Before>("bad", 1, "book_flight").await;
        let reason = format!("said \0{}", "é".repeat(10_000));
        let operator = world.operator::<Before>();
        operator.pause("bad", &reason).await.unwrap();
        world.tell("good", "start").await;
        let both = "bad v1 paused book_flight\ngood v1 running book_flight";
        world.listed(both).await;
        let bad = world.shown::<Before>("bad").await.unwrap();
        assert_eq!(bad.reason, Some(reason));
        code.stop().await;
    }
}

#[tokio::test]
async fn a_panic_and_a_careless_decision_pause_the_instance() {
    for world in worlds().await {
        let code = world.run::<Before>();
        for poison in ["explode", "careless"] {
            world.tell(poison, "start").await;
            world.tell(poison, poison).await;
            let line = format!("{poison} v1 paused book_flight");
            world.listed(&line).await;
            // What it cannot be told now it is not told at all, once somebody has said so.
            world.withdraw_first().await;
            world.operator::<Before>().resume(poison).await.unwrap();
            world.tell(poison, "flight_booked").await;
            world.stands::<Before>(poison, 1, "book_hotel").await;
            world.tell(poison, "hotel_booked").await;
            world.ends::<Before>(poison, "travelling").await;
        }
        code.stop().await;
    }
}

#[tokio::test]
async fn a_step_times_out_also_when_nobody_ran_meanwhile_and_not_while_it_stands_still() {
    for world in worlds().await {
        let code = world.run::<Before>();
        let late = clock::now() - STEP_TIMEOUT;
        for trip in ["late", "still"] {
            world.tell(trip, "start").await;
            world.stands::<Before>(trip, 1, "book_flight").await;
        }
        world
            .operator::<Before>()
            .pause("still", "a look")
            .await
            .unwrap();
        code.stop().await;
        world.tell_at("late", "flight_booked", late).await;
        world.tell_at("still", "flight_booked", late).await;
        let code = world.run::<Before>();
        // The hotel's time was over when it was asked for.
        world
            .listed("late v1 compensating -\nstill v1 paused book_flight")
            .await;
        world.counts("timed_out", 1).await;
        world.tell("late", "returned").await;
        world.ends::<Before>("late", "at_home").await;
        world.operator::<Before>().resume("still").await.unwrap();
        world.listed("still v1 compensating -").await;
        code.stop().await;
    }
}

#[tokio::test]
async fn an_operator_restarts_an_instance_from_a_step() {
    for world in worlds().await {
        let code = world.run::<Before>();
        world.tell("1", "start").await;
        world.tell("1", "flight_booked").await;
        world.stands::<Before>("1", 1, "book_hotel").await;
        let operator = world.operator::<Before>();
        operator.restart("1", "book_flight").await.unwrap();
        world.stands::<Before>("1", 1, "book_flight").await;
        world.listed("1 v1 running book_flight").await;
        let nowhere = operator.restart("1", "insure").await.unwrap_err();
        assert!(matches!(nowhere, NotDone::Refused(_)), "{nowhere}");
        assert_eq!(
            operator.restart("2", "book_flight").await,
            Err(NotDone::NoSuch)
        );
        world.tell("1", "flight_booked").await;
        world.tell("1", "hotel_booked").await;
        world.ends::<Before>("1", "travelling").await;
        let ended = operator.restart("1", "book_flight").await.unwrap_err();
        assert_eq!(ended, NotDone::Refused("it ended: travelling".into()));
        assert!(operator.show("2").await.unwrap().is_none());
        code.stop().await;
    }
}

#[tokio::test]
async fn the_rows_are_what_a_fresh_replay_makes_of_the_log() {
    for world in worlds().await {
        let code = world.run::<Before>();
        for trip in ["1", "2", "3"] {
            world.tell(trip, "start").await;
            world.tell(trip, "flight_booked").await;
        }
        world.tell("2", "strike").await;
        world.tell("3", "hotel_booked").await;
        world
            .listed("1 v1 running book_hotel\n2 v1 paused book_hotel")
            .await;
        code.stop().await;
        world.rows_hold().await;
    }
}
