//! A reservation: what is held for one order, and how far the stockkeeper came with it.
//!
//! A step is decided here first and done on the products after that, so that a reservation that
//! runs out while it is being committed cannot end half committed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shop_contracts::{RefusalReason, StockItem};
#[cfg(feature = "next")]
use shop_kernel::UserId;
use stanchion::eventsourcing::{Aggregate, TimerChange};

const UNTIL: &str = "until";

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reservation {
    pub(crate) items: Vec<StockItem>,
    pub(crate) step: Step,
}

/// How far it came; the ones in `-ing` wait for the stockkeeper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Step {
    #[default]
    Nothing,
    Holding,
    Held,
    Refused,
    Committing,
    Committed,
    Releasing {
        committed: bool,
    },
    Released,
}

#[derive(Clone, Debug)]
pub(crate) enum ReservationCommand {
    Request {
        items: Vec<StockItem>,
        until: Timestamp,
        #[cfg(feature = "next")]
        customer_id: Option<UserId>,
    },
    Commit,
    Release,
    Expire {
        at: Timestamp,
    },
    /// What the stockkeeper reports; a report of a step that is no longer wanted changes nothing.
    ReportHeld,
    ReportRefused {
        reason: RefusalReason,
    },
    ReportCommitted,
    ReportReleased,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub(crate) enum ReservationEvent {
    ReservationRequested {
        items: Vec<StockItem>,
        until: Timestamp,
        /// Older releases leave it out, and do not look at it.
        #[cfg(feature = "next")]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        customer_id: Option<UserId>,
    },
    ReservationHeld,
    ReservationRefused {
        reason: RefusalReason,
    },
    CommitStarted,
    ReservationCommitted,
    ReleaseStarted {
        committed: bool,
    },
    ReservationExpired {
        at: Timestamp,
    },
    ReservationReleased,
}

/// There is none: every pair of step and command has an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReservationRefusal {}

impl Aggregate for Reservation {
    const CATEGORY: &'static str = "reservation";
    type Command = ReservationCommand;
    type Event = ReservationEvent;
    type Refusal = ReservationRefusal;

    fn decide(
        &self,
        command: &ReservationCommand,
    ) -> Result<Vec<ReservationEvent>, ReservationRefusal> {
        use ReservationCommand as C;
        use ReservationEvent as E;
        use Step as S;
        Ok(match (self.step, command.clone()) {
            #[cfg(not(feature = "next"))]
            (S::Nothing, C::Request { items, until }) => {
                vec![E::ReservationRequested { items, until }]
            }
            #[cfg(feature = "next")]
            (
                S::Nothing,
                C::Request {
                    items,
                    until,
                    customer_id,
                },
            ) => {
                vec![E::ReservationRequested {
                    items,
                    until,
                    customer_id,
                }]
            }
            (S::Held, C::Commit) => vec![E::CommitStarted],
            (S::Holding | S::Held | S::Committing, C::Release) => {
                vec![E::ReleaseStarted {
                    committed: self.step == S::Committing,
                }]
            }
            (S::Committed, C::Release) => vec![E::ReleaseStarted { committed: true }],
            // Nothing is held: say so, also once more, since somebody waits for the answer.
            (S::Nothing | S::Refused | S::Released, C::Release) => vec![E::ReservationReleased],
            (S::Holding | S::Held, C::Expire { at }) => vec![E::ReservationExpired { at }],
            (S::Holding, C::ReportHeld) => vec![E::ReservationHeld],
            (S::Holding, C::ReportRefused { reason }) => vec![E::ReservationRefused { reason }],
            (S::Committing, C::ReportCommitted) => vec![E::ReservationCommitted],
            (S::Releasing { .. }, C::ReportReleased) => vec![E::ReservationReleased],
            _ => vec![],
        })
    }

    fn evolve(&mut self, event: &ReservationEvent) {
        use ReservationEvent as E;
        self.step = match event {
            E::ReservationRequested { items, .. } => {
                self.items.clone_from(items);
                Step::Holding
            }
            E::ReservationHeld => Step::Held,
            E::ReservationRefused { .. } => Step::Refused,
            E::CommitStarted => Step::Committing,
            E::ReservationCommitted => Step::Committed,
            E::ReleaseStarted { committed } => Step::Releasing {
                committed: *committed,
            },
            E::ReservationExpired { .. } => Step::Releasing { committed: false },
            E::ReservationReleased => Step::Released,
        };
    }

    fn timers(event: &ReservationEvent) -> Vec<TimerChange> {
        let name = || UNTIL.to_owned();
        match event {
            ReservationEvent::ReservationRequested { until, .. } => {
                vec![TimerChange::Set {
                    name: name(),
                    due_at: *until,
                }]
            }
            ReservationEvent::ReservationHeld => vec![],
            _ => vec![TimerChange::Clear { name: name() }],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stanchion::eventsourcing::testing::given;

    use super::ReservationCommand as C;
    use super::ReservationEvent as E;
    use super::*;

    const UNTIL: Timestamp = Timestamp::UNIX_EPOCH;

    fn items() -> Vec<StockItem> {
        vec![StockItem {
            sku: "BEANS".parse().unwrap(),
            quantity: 2,
        }]
    }

    fn requested() -> E {
        E::ReservationRequested {
            items: items(),
            until: UNTIL,
        }
    }

    #[test]
    fn a_reservation_is_held_and_committed() {
        given::<Reservation>([])
            .when(C::Request {
                items: items(),
                until: UNTIL,
            })
            .then([requested()])
            .when(C::ReportHeld)
            .then([E::ReservationHeld])
            .when(C::Commit)
            .then([E::CommitStarted])
            .when(C::ReportCommitted)
            .then([E::ReservationCommitted]);
    }

    #[test]
    fn a_reservation_that_is_being_committed_does_not_run_out() {
        given::<Reservation>([requested(), E::ReservationHeld, E::CommitStarted])
            .when(C::Expire { at: UNTIL })
            .then_nothing();
    }

    #[test]
    fn a_reservation_that_ran_out_cannot_be_committed() {
        given::<Reservation>([
            requested(),
            E::ReservationHeld,
            E::ReservationExpired { at: UNTIL },
        ])
        .when(C::Commit)
        .then_nothing()
        .when(C::ReportReleased)
        .then([E::ReservationReleased])
        .when(C::Commit)
        .then_nothing();
    }

    #[test]
    fn a_late_report_of_holding_does_not_end_a_release() {
        given::<Reservation>([requested(), E::ReleaseStarted { committed: false }])
            .when(C::ReportHeld)
            .then_nothing();
    }

    #[test]
    fn what_was_never_reserved_is_released_and_stays_so() {
        given::<Reservation>([])
            .when(C::Release)
            .then([E::ReservationReleased])
            .when(C::Request {
                items: items(),
                until: UNTIL,
            })
            .then_nothing();
    }

    fn command() -> impl Strategy<Value = ReservationCommand> {
        prop_oneof![
            Just(C::Request {
                items: items(),
                until: UNTIL
            }),
            Just(C::Commit),
            Just(C::Release),
            Just(C::Expire { at: UNTIL }),
            Just(C::ReportHeld),
            Just(C::ReportRefused {
                reason: RefusalReason::OutOfStock
            }),
            Just(C::ReportCommitted),
            Just(C::ReportReleased),
        ]
    }

    proptest! {
        #[test]
        fn every_release_ends_released_whatever_came_before(commands in prop::collection::vec(command(), 0..30)) {
            let mut reservation = Reservation::default();
            let asked = commands.into_iter().chain([C::Release, C::ReportReleased]);
            for command in asked {
                for event in reservation.decide(&command).unwrap_or_default() {
                    reservation.evolve(&event);
                }
            }
            prop_assert_eq!(reservation.step, Step::Released);
        }
    }
}
