//! Fulfilment against a stock and a payment that refuse, expire, dawdle and repeat themselves.

use std::collections::VecDeque;

use proptest::prelude::*;
use shop_contracts::RefusalReason;
use stanchion::eventsourcing::Instance;

use super::FulfilmentCommand as C;
use super::FulfilmentEvent as E;
use super::tests::start;
use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Far after every timer.
const LATE: Timestamp = Timestamp::MAX;

/// More than any run needs to come to rest.
const ROUNDS_MAX: usize = 100;

#[derive(Clone, Copy, Debug)]
enum Move {
    Start,
    Cancel,
    TimeOut,
    /// Stock or payment takes its next command and agrees, or refuses if it may.
    Stock {
        refuse: bool,
    },
    Payment {
        refuse: bool,
    },
    /// The reservation's time is over.
    Expire,
    /// The next answer arrives.
    HearStock,
    HearPayment,
    /// An answer that arrived before arrives again.
    RepeatStock(prop::sample::Index),
    RepeatPayment(prop::sample::Index),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let index = any::<prop::sample::Index>;
    let one = prop_oneof![
        1 => Just(Move::Start),
        1 => Just(Move::Cancel),
        1 => Just(Move::TimeOut),
        1 => Just(Move::Expire),
        6 => prop::bool::weighted(0.1).prop_map(|refuse| Move::Stock { refuse }),
        6 => prop::bool::weighted(0.1).prop_map(|refuse| Move::Payment { refuse }),
        6 => Just(Move::HearStock),
        6 => Just(Move::HearPayment),
        2 => index().prop_map(Move::RepeatStock),
        2 => index().prop_map(Move::RepeatPayment),
    ];
    prop::collection::vec(one, 0..80)
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Side {
    #[default]
    Nothing,
    Held,
    Taken,
    Refused,
    Returned,
}

/// What one side was asked, what it holds, and what it said; its log keeps order.
#[derive(Default)]
struct Party {
    asked: VecDeque<Ask>,
    side: Side,
    said: Vec<C>,
    heard: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Ask {
    Hold,
    Take,
    Return,
}

#[derive(Default)]
struct World {
    process: Instance<Fulfilment>,
    stock: Party,
    payment: Party,
    started: bool,
    cancelled: bool,
    returns_asked: [usize; 2],
    fulfilled: usize,
    failed: usize,
}

impl World {
    fn make(&mut self, one: Move) {
        match one {
            Move::Start => {
                self.started = true;
                self.tell(&start());
            }
            // The order's own log keeps order: it is placed before it is cancelled.
            Move::Cancel if self.started => {
                self.cancelled = true;
                self.tell(&C::Cancel);
            }
            Move::Cancel => {}
            Move::TimeOut => self.tell(&C::TimeOut { at: LATE }),
            Move::Stock { refuse } => self.stock.work(refuse, stock_says),
            Move::Payment { refuse } => self.payment.work(refuse, payment_says),
            Move::Expire => self.stock.expire(),
            Move::HearStock => {
                let next = self.stock.next();
                next.into_iter().for_each(|said| self.tell(&said));
            }
            Move::HearPayment => {
                let next = self.payment.next();
                next.into_iter().for_each(|said| self.tell(&said));
            }
            Move::RepeatStock(index) => {
                let said = self.stock.again(index);
                said.into_iter().for_each(|said| self.tell(&said));
            }
            Move::RepeatPayment(index) => {
                let said = self.payment.again(index);
                said.into_iter().for_each(|said| self.tell(&said));
            }
        }
    }

    fn tell(&mut self, command: &C) {
        // Nor is a step asked for whose compensation is not registered, or that is none of the definition.
        let told = command.clone().into();
        let events = self.process.decide(&told).expect("there is no refusal");
        for event in events {
            self.process.evolve(&event);
            let own = event.own().expect("nobody pauses it");
            self.announce(&own);
        }
    }

    /// What the relay does.
    fn announce(&mut self, event: &E) {
        match event {
            E::FulfilmentStarted { .. } => self.stock.asked.push_back(Ask::Hold),
            E::StockHeld { .. } => self.payment.asked.push_back(Ask::Hold),
            E::PaymentAuthorized { .. } => self.stock.asked.push_back(Ask::Take),
            E::StockCommitted { .. } => self.payment.asked.push_back(Ask::Take),
            E::PaymentCaptured => self.fulfilled += 1,
            E::FulfilmentFailed { .. } => self.failed += 1,
            E::CompensationStarted { stock, payment, .. } => {
                if *stock {
                    self.stock.asked.push_back(Ask::Return);
                    self.returns_asked[0] += 1;
                }
                if payment.is_some() {
                    self.payment.asked.push_back(Ask::Return);
                    self.returns_asked[1] += 1;
                }
            }
            E::StockUndone | E::PaymentUndone | E::FulfilmentCancelled => {}
        }
    }

    /// Everything asked is answered, every answer arrives, and time goes by.
    fn come_to_rest(&mut self) {
        if !self.started {
            self.make(Move::Start);
        }
        for _ in 0..ROUNDS_MAX {
            self.make(Move::Stock { refuse: false });
            self.make(Move::Payment { refuse: false });
            self.make(Move::HearStock);
            self.make(Move::HearPayment);
        }
        self.make(Move::TimeOut);
        for _ in 0..ROUNDS_MAX {
            self.make(Move::Stock { refuse: false });
            self.make(Move::Payment { refuse: false });
            self.make(Move::HearStock);
            self.make(Move::HearPayment);
        }
    }
}

impl Party {
    fn work(&mut self, refuse: bool, says: fn(Side) -> C) {
        let Some(ask) = self.asked.pop_front() else {
            return;
        };
        self.side = match (ask, self.side) {
            (Ask::Hold, Side::Nothing) if refuse => Side::Refused,
            (Ask::Hold, Side::Nothing) => Side::Held,
            (Ask::Take, Side::Held) if refuse && says(Side::Refused).is_decline() => Side::Refused,
            (Ask::Take, Side::Held) => Side::Taken,
            (Ask::Return, _) => Side::Returned,
            (_, side) => side,
        };
        self.said.push(says(self.side));
    }

    fn expire(&mut self) {
        if self.side == Side::Held {
            self.side = Side::Returned;
            self.said.push(C::StockReleased);
        }
    }

    fn next(&mut self) -> Option<C> {
        let said = self.said.get(self.heard).cloned()?;
        self.heard += 1;
        Some(said)
    }

    fn again(&self, index: prop::sample::Index) -> Option<C> {
        (self.heard > 0).then(|| self.said[index.index(self.heard)].clone())
    }
}

impl C {
    fn is_decline(&self) -> bool {
        matches!(self, Self::PaymentDeclined)
    }
}

fn stock_says(side: Side) -> C {
    match side {
        Side::Held => C::StockReserved { at: NOW },
        Side::Taken => C::StockCommitted { at: NOW },
        Side::Refused => C::StockRefused {
            reason: RefusalReason::OutOfStock,
        },
        Side::Nothing | Side::Returned => C::StockReleased,
    }
}

fn payment_says(side: Side) -> C {
    match side {
        Side::Held => C::PaymentAuthorized { at: NOW },
        Side::Taken => C::PaymentCaptured,
        Side::Refused => C::PaymentDeclined,
        Side::Nothing | Side::Returned => C::PaymentCancelled,
    }
}

fn anything() -> impl Strategy<Value = C> {
    prop_oneof![
        Just(start()),
        Just(C::Cancel),
        Just(C::StockReserved { at: NOW }),
        Just(C::StockRefused {
            reason: RefusalReason::OutOfStock
        }),
        Just(C::StockCommitted { at: NOW }),
        Just(C::StockReleased),
        Just(C::PaymentAuthorized { at: NOW }),
        Just(C::PaymentDeclined),
        Just(C::PaymentCaptured),
        Just(C::PaymentCancelled),
        Just(C::TimeOut { at: LATE }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_an_order_is_fulfilled_or_nothing_of_it_is_held(moves in moves()) {
        let mut world = World::default();
        moves.into_iter().for_each(|one| world.make(one));
        world.come_to_rest();
        let nothing_kept = |side: Side| !matches!(side, Side::Held | Side::Taken);
        match world.process.process().step {
            Step::Fulfilled => {
                prop_assert!(!world.cancelled);
                prop_assert_eq!((world.stock.side, world.payment.side), (Side::Taken, Side::Taken));
                prop_assert_eq!((world.fulfilled, world.failed), (1, 0));
            }
            Step::Ended { outcome } => {
                prop_assert!(nothing_kept(world.stock.side) && nothing_kept(world.payment.side));
                prop_assert!(world.fulfilled == 0 || outcome == Outcome::Cancelled);
                prop_assert_eq!(world.failed == 0, outcome == Outcome::Cancelled);
            }
            other => prop_assert!(false, "stuck in {:?}", other),
        }
        prop_assert!(world.returns_asked.iter().all(|asked| *asked <= 1));
    }

    #[test]
    fn whatever_it_is_told_it_has_an_answer_and_asks_for_undoing_once(
        told in prop::collection::vec(anything(), 0..40),
    ) {
        let mut world = World::default();
        for command in told {
            world.tell(&command);
            let going_forward = matches!(
                world.process.process().step,
                Step::Reserving | Step::Authorizing | Step::Committing | Step::Capturing
            );
            prop_assert_eq!(world.process.process().due_at.is_some(), going_forward);
        }
        for last in [start(), C::TimeOut { at: LATE }, C::StockReleased, C::PaymentCancelled] {
            world.tell(&last);
        }
        let at_rest = matches!(world.process.process().step, Step::Fulfilled | Step::Ended { .. });
        prop_assert!(at_rest, "stuck in {:?}", world.process.process().step);
        prop_assert!(world.returns_asked.iter().all(|asked| *asked <= 1));
        prop_assert!(world.fulfilled <= 1);
        prop_assert!(world.fulfilled == 0 || world.failed == 0);
    }
}
