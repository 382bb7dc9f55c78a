//! Instances of a process, by given/when/then: definitions, pauses, restarts, what is registered before it is asked for.
#![allow(clippy::unwrap_used)]

mod trip;
mod waiting;

use std::collections::BTreeMap;

use jiff::Timestamp;
use stanchion_eventsourcing::testing::given_instance;
use stanchion_eventsourcing::{
    Aggregate, Instance, NotTold, Process, ProcessEvent, RunEvent, Standing, TimerChange, Told,
};

use trip::TripCommand as C;
use trip::TripEvent as E;
use trip::{Trip, Unthought};

/// The code before the second definition, after it, and after the first one went.
type Before = Trip<1, 1, false>;
type After = Trip<1, 2, false>;
type Migrating = Trip<1, 2, true>;
type Later = Trip<2, 2, false>;

fn second(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn own(event: E) -> ProcessEvent<E> {
    ProcessEvent::Own(event)
}

fn run(event: RunEvent) -> ProcessEvent<E> {
    ProcessEvent::Run(event)
}

fn flight(due: i64) -> ProcessEvent<E> {
    let due_at = second(due);
    own(E::FlightAsked { due_at })
}

fn hotel(due: i64) -> ProcessEvent<E> {
    let due_at = second(due);
    own(E::HotelAsked { due_at })
}

fn begun(definition: u32) -> ProcessEvent<E> {
    run(RunEvent::ProcessBegun { definition })
}

fn booked(at: i64) -> Told<C> {
    Told::Message(C::HotelBooked { at: second(at) })
}

fn timers(due: i64) -> BTreeMap<String, Timestamp> {
    BTreeMap::from([("step".to_owned(), second(due))])
}

fn paused(reason: &str, at: i64, due: i64) -> ProcessEvent<E> {
    run(RunEvent::ProcessPaused {
        reason: reason.into(),
        at: second(at),
        timers: timers(due),
    })
}

const OVER: E = E::Over { travelling: true };

#[test]
fn an_instance_remembers_the_definition_it_began_under() {
    let start = || Told::Message(C::Start { at: second(0) });
    given_instance::<After>([])
        .when(start())
        .then([begun(2), flight(60)]);
    // The first definition is what one has that says nothing: also one from before definitions were recorded.
    given_instance::<Before>([])
        .when(start())
        .then([flight(60)]);
}

#[test]
fn one_that_began_before_an_upgrade_goes_on_by_its_own_definition() {
    let before = given_instance::<After>([flight(60), hotel(70)]);
    assert_eq!(before.state().definition(), 1);
    before.when(booked(20)).then([own(OVER)]);
    let insurance = E::InsuranceAsked { due_at: second(80) };
    given_instance::<After>([begun(2), flight(60), hotel(70)])
        .when(booked(20))
        .then([own(insurance)]);
}

#[test]
fn one_that_began_before_an_upgrade_is_migrated_where_the_process_says_how() {
    let insurance = E::InsuranceAsked { due_at: second(80) };
    let migrated = run(RunEvent::ProcessMigrated { from: 1, to: 2 });
    let after = given_instance::<Migrating>([flight(60), hotel(70)])
        .when(booked(20))
        .then([migrated, own(insurance)]);
    assert_eq!(after.state().definition(), 2);
    after.when(Told::Message(C::Insured)).then([own(OVER)]);
}

#[test]
fn one_of_a_newer_definition_waits_and_one_of_a_retired_definition_does_not_go_on() {
    given_instance::<Before>([begun(2), flight(60)])
        .when(booked(20))
        .then_refused(NotTold::NewerDefinition(2));
    given_instance::<Later>([flight(60)])
        .when(booked(20))
        .then_refused(NotTold::RetiredDefinition(1));
}

#[test]
fn a_paused_instance_stands_still_and_goes_on_with_the_time_it_had_left() {
    let pause = |reason: &str, at| Told::Pause {
        reason: reason.into(),
        at: second(at),
    };
    let resume = || Told::Resume { at: second(1_010) };
    let still = given_instance::<Before>([flight(60)])
        .when(pause("a look", 10))
        .then([paused("a look", 10, 60)])
        .when(pause("once more", 20))
        .then_nothing();
    let late = Told::Message(C::TimeOut { at: second(500) });
    let refused = NotTold::Paused("a look".into());
    still.clone().when(late).then_refused(refused);
    let resumed = run(RunEvent::ProcessResumed {
        at: second(1_010),
        timers: timers(1_060),
    });
    let goes_on = still.when(resume()).then([resumed.clone()]);
    assert_eq!(goes_on.state().timers_set(), &timers(1_060));
    goes_on.when(resume()).then_nothing();
    // It was nearly due: what waited for the resume is heard first.
    given_instance::<Before>([flight(60)])
        .when(pause("a look", 55))
        .then([paused("a look", 55, 60)])
        .when(resume())
        .then([run(RunEvent::ProcessResumed {
            at: second(1_010),
            timers: timers(1_045),
        })]);

    let name = || "step".to_owned();
    let cleared = Instance::<Before>::timers(&paused("a look", 10, 60));
    assert_eq!(cleared, [TimerChange::Clear { name: name() }]);
    let due_at = second(1_060);
    let set = Instance::<Before>::timers(&resumed);
    assert_eq!(
        set,
        [TimerChange::Set {
            name: name(),
            due_at
        }]
    );
}

#[test]
fn nobody_pauses_resumes_or_restarts_what_never_began() {
    let at = second(0);
    let step = "book_flight".to_owned();
    let reason = "why".to_owned();
    for told in [
        Told::Pause { reason, at },
        Told::Resume { at },
        Told::Restart { step, at },
    ] {
        given_instance::<Before>([])
            .when(told)
            .then_refused(NotTold::NotBegun);
    }
}

#[test]
fn a_restart_asks_for_a_step_again_and_ends_a_pause() {
    let restart = |step: &str| Told::Restart {
        step: step.into(),
        at: second(100),
    };
    let restarted = |step: &str| {
        run(RunEvent::ProcessRestarted {
            step: step.into(),
            at: second(100),
            timers: vec!["step".into()],
        })
    };
    let past = || given_instance::<Before>([flight(60), hotel(70), paused("why", 20, 70)]);
    let after = past()
        .when(restart("book_hotel"))
        .then([restarted("book_hotel"), hotel(160)]);
    assert_eq!(after.state().paused(), None);
    let after = past()
        .when(restart("book_flight"))
        .then([restarted("book_flight"), flight(160)]);
    assert_eq!(
        after.state().standing(),
        Some(Standing::AtStep("book_flight"))
    );
    past()
        .when(restart("insure"))
        .then_refused(NotTold::NoRestart(
            "there is no way back to `insure`".into(),
        ));
    given_instance::<Before>([flight(60), own(OVER)])
        .when(restart("book_flight"))
        .then_refused(NotTold::Ended("travelling"));
}

#[test]
fn a_step_is_not_asked_for_unless_what_takes_it_back_is_registered() {
    let past = || given_instance::<Before>([flight(60)]);
    past()
        .when(Told::Message(C::Careless))
        .then_refused(NotTold::NotRegistered {
            step: "book_hotel",
            compensation: "cancel_hotel",
        });
    let at = second(10);
    let after = past()
        .when(Told::Message(C::FlightBooked { at }))
        .then([hotel(70)]);
    let registered = after.state().process().compensations();
    assert_eq!(registered, ["return_flight", "cancel_hotel"]);
}

#[test]
fn a_step_that_the_definition_has_not_is_not_asked_for() {
    let past = || given_instance::<Before>([flight(60), hotel(70)]);
    past()
        .when(Told::Message(C::Insure))
        .then_refused(NotTold::UnknownStep {
            step: "insure".into(),
            definition: 1,
        });
}

#[test]
fn a_panic_and_a_refusal_are_refusals_of_one_instance() {
    let past = || given_instance::<Before>([flight(60)]);
    let panicked = NotTold::Panicked("a defect".into());
    past()
        .when(Told::Message(C::Explode))
        .then_refused(panicked);
    let refused = NotTold::Refused(Unthought);
    past().when(Told::Message(C::Strike)).then_refused(refused);
}
