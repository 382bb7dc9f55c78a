//! What a fulfilment does about what it is told: one match, and every pair has an answer.

use jiff::{SignedDuration, Timestamp};
use shop_contracts::{FailureReason, OrderPlaced, RefusalReason};

use super::{
    About, Fulfilment, FulfilmentCommand, FulfilmentEvent, HELD_STEPS, Outcome, Step, Undo,
};

const TIMED_OUT: Outcome = Outcome::Failed(FailureReason::TimedOut);
const DECLINED: Outcome = Outcome::Failed(FailureReason::PaymentDeclined);

/// Which sides are to be undone.
#[derive(Clone, Copy)]
struct Sides {
    stock: bool,
    payment: bool,
}

const STOCK: Sides = Sides {
    stock: true,
    payment: false,
};
const PAYMENT: Sides = Sides {
    stock: false,
    payment: true,
};
const BOTH: Sides = Sides {
    stock: true,
    payment: true,
};

impl Fulfilment {
    pub(super) fn react(&self, command: &FulfilmentCommand) -> Vec<FulfilmentEvent> {
        use FulfilmentCommand as C;
        use Step as S;
        match (self.step, command) {
            (
                S::Idle,
                C::Start {
                    order,
                    step_timeout,
                    at,
                },
            ) => {
                vec![started(order, *step_timeout, *at)]
            }
            // A cancellation that overtook its order: the order must not start after it.
            (S::Idle, C::Cancel) => vec![FulfilmentEvent::FulfilmentCancelled],
            (S::Reserving, C::StockReserved { at }) => self.stock_held(*at),
            (S::Authorizing, C::PaymentAuthorized { at }) => self.payment_authorized(*at),
            (S::Committing, C::StockCommitted { at }) => self.stock_committed(*at),
            (S::Capturing, C::PaymentCaptured) => vec![FulfilmentEvent::PaymentCaptured],

            (S::Reserving, C::StockRefused { reason }) => vec![failed(refused(*reason))],
            // Its time was over before it was held.
            (S::Reserving, C::StockReleased) => vec![failed(FailureReason::TimedOut)],
            (S::Authorizing | S::Committing | S::Capturing, C::StockReleased) => {
                self.compensate(PAYMENT, TIMED_OUT)
            }
            (
                S::Authorizing | S::Committing | S::Capturing,
                C::PaymentDeclined | C::PaymentCancelled,
            ) => self.compensate(STOCK, DECLINED),
            (_, C::TimeOut { at }) if self.is_late(*at) => {
                self.compensate(self.asked_for(), TIMED_OUT)
            }
            (
                S::Reserving | S::Authorizing | S::Committing | S::Capturing | S::Fulfilled,
                C::Cancel,
            ) => self.compensate(self.asked_for(), Outcome::Cancelled),

            (S::Compensating { outcome }, C::StockReleased) => self.stock_undone(outcome),
            (S::Compensating { outcome }, C::PaymentCancelled) => self.payment_undone(outcome),
            // Nobody should say so after a refusal; if somebody does, it is undone.
            (
                S::Compensating { outcome } | S::Ended { outcome },
                C::StockReserved { .. } | C::StockCommitted { .. },
            ) => self.compensate(STOCK, outcome),
            (
                S::Compensating { outcome } | S::Ended { outcome },
                C::PaymentAuthorized { .. } | C::PaymentCaptured,
            ) => self.compensate(PAYMENT, outcome),
            _ => vec![],
        }
    }

    pub(super) fn stock_held(&self, at: Timestamp) -> Vec<FulfilmentEvent> {
        let event = |about: &About| FulfilmentEvent::StockHeld {
            payment_id: about.payment_id,
            customer_id: about.customer_id,
            amount: about.amount,
            payment_method: about.payment_method.clone(),
            due_at: after(at, about.step_timeout),
        };
        self.about.iter().map(event).collect()
    }

    pub(super) fn payment_authorized(&self, at: Timestamp) -> Vec<FulfilmentEvent> {
        let event = |about: &About| FulfilmentEvent::PaymentAuthorized {
            due_at: after(at, about.step_timeout),
        };
        self.about.iter().map(event).collect()
    }

    pub(super) fn stock_committed(&self, at: Timestamp) -> Vec<FulfilmentEvent> {
        let event = |about: &About| FulfilmentEvent::StockCommitted {
            payment_id: about.payment_id,
            due_at: after(at, about.step_timeout),
        };
        self.about.iter().map(event).collect()
    }

    /// Asks for undoing, except what was asked for before.
    fn compensate(&self, sides: Sides, outcome: Outcome) -> Vec<FulfilmentEvent> {
        let about = self.about.as_ref();
        let stock = sides.stock && about.is_some() && self.stock == Undo::NotAsked;
        let payment = about.filter(|_| sides.payment && self.payment == Undo::NotAsked);
        if !stock && payment.is_none() {
            return vec![];
        }
        vec![FulfilmentEvent::CompensationStarted {
            stock,
            payment: payment.map(|about| about.payment_id),
            outcome,
        }]
    }

    fn stock_undone(&self, outcome: Outcome) -> Vec<FulfilmentEvent> {
        if self.stock != Undo::Asked {
            return vec![];
        }
        let last = self.payment != Undo::Asked;
        let ending = last.then(|| ended(outcome));
        std::iter::once(FulfilmentEvent::StockUndone)
            .chain(ending)
            .collect()
    }

    fn payment_undone(&self, outcome: Outcome) -> Vec<FulfilmentEvent> {
        if self.payment != Undo::Asked {
            return vec![];
        }
        let last = self.stock != Undo::Asked;
        let ending = last.then(|| ended(outcome));
        std::iter::once(FulfilmentEvent::PaymentUndone)
            .chain(ending)
            .collect()
    }

    /// What may be held or taken by now, answered or not.
    fn asked_for(&self) -> Sides {
        if self.step == Step::Reserving {
            STOCK
        } else {
            BOTH
        }
    }

    /// Whether stock and payment may hold something.
    pub(super) fn may_be_held(&self) -> (bool, bool) {
        let Sides { stock, payment } = self.asked_for();
        (stock, payment)
    }

    fn is_late(&self, at: Timestamp) -> bool {
        self.due_at.is_some_and(|due_at| due_at <= at)
    }
}

fn started(order: &OrderPlaced, step_timeout: SignedDuration, at: Timestamp) -> FulfilmentEvent {
    let held_for = step_timeout.saturating_mul(HELD_STEPS);
    FulfilmentEvent::FulfilmentStarted {
        about: About {
            payment_id: order.payment_id,
            customer_id: order.customer_id,
            amount: order.total,
            payment_method: order.payment_method.clone(),
            step_timeout,
        },
        items: order.items.clone(),
        until: after(at, held_for),
        due_at: after(at, step_timeout),
    }
}

fn ended(outcome: Outcome) -> FulfilmentEvent {
    match outcome {
        Outcome::Cancelled => FulfilmentEvent::FulfilmentCancelled,
        Outcome::Failed(reason) => failed(reason),
    }
}

fn failed(reason: FailureReason) -> FulfilmentEvent {
    FulfilmentEvent::FulfilmentFailed { reason }
}

fn refused(reason: RefusalReason) -> FailureReason {
    match reason {
        RefusalReason::OutOfStock => FailureReason::OutOfStock,
        RefusalReason::UnknownProduct => FailureReason::UnknownProduct,
    }
}

pub(super) fn after(at: Timestamp, duration: SignedDuration) -> Timestamp {
    at.saturating_add(duration).unwrap_or(Timestamp::MAX)
}
