//! Fulfilment: the process that takes an order through stock and payment, or back again.
//!
//! It goes forward one step at a time: reserve stock, authorize the payment, commit the stock,
//! capture the money. A refusal, a step that takes too long, or a cancellation turns it round:
//! whatever was asked for and not refused is asked to be undone, answered or not, so a late answer
//! finds its undoing on the way. Each of the two sides is asked to undo at most once, ever, unless an operator has it
//! asked for again.

mod decide;
mod process;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shop_contracts::{FailureReason, OrderPlaced, RefusalReason, StockItem};
use shop_kernel::{Money, PaymentId, UserId};
use stanchion::eventsourcing::{Aggregate, Personal, TimerChange};

/// How long a step may take until the order is given up, unless set otherwise.
pub(crate) const STEP_TIMEOUT: SignedDuration = SignedDuration::from_secs(60);

/// Stock is held for so many steps: the three until it is committed, and room for slow timers.
const HELD_STEPS: i32 = 5;

/// The one timer of a fulfilment: a new step replaces it.
const STEP_TIMER: &str = "step";

/// One order's fulfilment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fulfilment {
    pub(crate) step: Step,
    about: Option<About>,
    items: Vec<StockItem>,
    /// When the step has taken too long.
    due_at: Option<Timestamp>,
    stock: Undo,
    payment: Undo,
}

/// What the later steps need of the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) payment_id: PaymentId,
    pub(crate) customer_id: UserId,
    pub(crate) amount: Money,
    pub(crate) payment_method: Personal<String>,
    pub(crate) step_timeout: SignedDuration,
}

/// Where a fulfilment is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Step {
    /// The order was not heard of.
    #[default]
    Idle,
    /// Waits for stock to be held.
    Reserving,
    /// Stock is held; waits for the money to be reserved.
    Authorizing,
    /// The money is reserved; waits for the stock to leave.
    Committing,
    /// The stock has left; waits for the money to be taken.
    Capturing,
    /// All is done.
    Fulfilled,
    /// Waits for what was done to be undone.
    Compensating { outcome: Outcome },
    /// Nothing of the order is held or taken.
    Ended { outcome: Outcome },
}

/// Why an order was not fulfilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "reason", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It was called off.
    Cancelled,
    /// It could not be.
    Failed(FailureReason),
}

/// How far the undoing of one side came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Undo {
    #[default]
    NotAsked,
    Asked,
    Done,
}

/// What a fulfilment is told.
#[derive(Clone, Debug)]
pub(crate) enum FulfilmentCommand {
    Start {
        order: Box<OrderPlaced>,
        step_timeout: SignedDuration,
        at: Timestamp,
    },
    Cancel,
    StockReserved {
        at: Timestamp,
    },
    StockRefused {
        reason: RefusalReason,
    },
    StockCommitted {
        at: Timestamp,
    },
    StockReleased,
    PaymentAuthorized {
        at: Timestamp,
    },
    PaymentDeclined,
    PaymentCaptured,
    PaymentCancelled,
    /// The step's timer fired; a stale one means nothing.
    TimeOut {
        at: Timestamp,
    },
}

/// What happened; each carries what the relay needs to ask for the next step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub(crate) enum FulfilmentEvent {
    FulfilmentStarted {
        about: About,
        items: Vec<StockItem>,
        until: Timestamp,
        due_at: Timestamp,
    },
    StockHeld {
        payment_id: PaymentId,
        customer_id: UserId,
        amount: Money,
        payment_method: Personal<String>,
        due_at: Timestamp,
    },
    PaymentAuthorized {
        due_at: Timestamp,
    },
    StockCommitted {
        payment_id: PaymentId,
        due_at: Timestamp,
    },
    PaymentCaptured,
    /// What is named is to be undone.
    CompensationStarted {
        stock: bool,
        payment: Option<PaymentId>,
        outcome: Outcome,
    },
    StockUndone,
    PaymentUndone,
    /// Nothing is held or taken, and the order was not fulfilled.
    FulfilmentFailed {
        reason: FailureReason,
    },
    /// Nothing is held or taken, and the order was called off.
    FulfilmentCancelled,
}

/// There is none: every pair of step and command has an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FulfilmentRefusal {}

impl Aggregate for Fulfilment {
    const CATEGORY: &'static str = "fulfilment";
    type Command = FulfilmentCommand;
    type Event = FulfilmentEvent;
    type Refusal = FulfilmentRefusal;

    fn decide(
        &self,
        command: &FulfilmentCommand,
    ) -> Result<Vec<FulfilmentEvent>, FulfilmentRefusal> {
        Ok(self.react(command))
    }

    fn evolve(&mut self, event: &FulfilmentEvent) {
        use FulfilmentEvent as E;
        match event {
            E::FulfilmentStarted {
                about,
                items,
                due_at,
                ..
            } => {
                self.about = Some(about.clone());
                self.items.clone_from(items);
                self.enter(Step::Reserving, Some(*due_at));
            }
            E::StockHeld { due_at, .. } => self.enter(Step::Authorizing, Some(*due_at)),
            E::PaymentAuthorized { due_at } => self.enter(Step::Committing, Some(*due_at)),
            E::StockCommitted { due_at, .. } => self.enter(Step::Capturing, Some(*due_at)),
            E::PaymentCaptured => self.enter(Step::Fulfilled, None),
            E::CompensationStarted {
                stock,
                payment,
                outcome,
            } => {
                self.stock = self.stock.asked_if(*stock);
                self.payment = self.payment.asked_if(payment.is_some());
                self.enter(Step::Compensating { outcome: *outcome }, None);
            }
            E::StockUndone => self.stock = Undo::Done,
            E::PaymentUndone => self.payment = Undo::Done,
            E::FulfilmentFailed { reason } => {
                let outcome = Outcome::Failed(*reason);
                self.enter(Step::Ended { outcome }, None);
            }
            E::FulfilmentCancelled => {
                let outcome = Outcome::Cancelled;
                self.enter(Step::Ended { outcome }, None);
            }
        }
    }

    fn timers(event: &FulfilmentEvent) -> Vec<TimerChange> {
        use FulfilmentEvent as E;
        let name = || STEP_TIMER.to_owned();
        match event {
            E::FulfilmentStarted { due_at, .. }
            | E::StockHeld { due_at, .. }
            | E::PaymentAuthorized { due_at }
            | E::StockCommitted { due_at, .. } => vec![TimerChange::Set {
                name: name(),
                due_at: *due_at,
            }],
            // Undoing has no end but its own: it is asked for until it is done.
            E::PaymentCaptured
            | E::CompensationStarted { .. }
            | E::FulfilmentFailed { .. }
            | E::FulfilmentCancelled => vec![TimerChange::Clear { name: name() }],
            E::StockUndone | E::PaymentUndone => vec![],
        }
    }
}

impl Fulfilment {
    fn enter(&mut self, step: Step, due_at: Option<Timestamp>) {
        self.step = step;
        self.due_at = due_at;
    }
}

impl Undo {
    fn asked_if(self, asked: bool) -> Self {
        if asked { Self::Asked } else { self }
    }
}
