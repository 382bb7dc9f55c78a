//! The payment: reserved, taken, given back, each step asked of the gateway after it is recorded.
//!
//! A command records what is wanted; the gateway is called for the recorded event, and its answer is
//! recorded by another command. A cancellation is a wish that stays until nothing is kept: whatever
//! is told meanwhile, [`Payment::follow_ups`] says what it takes next.

mod command;
mod decide;
mod event;
mod refusal;
mod status;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use shop_kernel::{Money, OrderId, PaymentId, UserId};
use stanchion::eventsourcing::{Aggregate, TimerChange};

pub(crate) use command::{Action, PaymentCommand};
pub(crate) use event::{PaymentEvent, RefundId};
pub(crate) use refusal::PaymentRefusal;
pub(crate) use status::{RefundStatus, Status};

/// The most refunds that can be asked for one payment; a cancellation's own do not count.
pub(crate) const REFUNDS_MAX: usize = 100;

/// The timer that asks again for a cancellation's refund.
const RETRY_CANCEL: &str = "retry_cancel";

/// A payment as its events say it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payment {
    pub(crate) request: Option<Request>,
    pub(crate) refunds: Vec<Refund>,
    pub(crate) updated_at: Option<Timestamp>,
    stage: Stage,
    cancel: Cancel,
    intent: Option<String>,
    capture_asked: bool,
    void_asked: bool,
    retry_at: Option<Timestamp>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) payment_id: PaymentId,
    pub(crate) order_id: OrderId,
    pub(crate) customer_id: UserId,
    pub(crate) amount: Money,
    pub(crate) at: Timestamp,
}

/// Money on its way back, or back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refund {
    pub(crate) id: RefundId,
    pub(crate) amount: Money,
    pub(crate) status: RefundStatus,
    pub(crate) at: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Never asked for.
    #[default]
    Unmade,
    Pending,
    Authorized,
    Capturing,
    /// The gateway would not take it; what is reserved is being voided.
    CaptureFailed {
        code: String,
    },
    Captured,
    Declined,
    Voided,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Cancel {
    #[default]
    No,
    Wanted,
    Done,
}

impl Aggregate for Payment {
    const CATEGORY: &'static str = "payment";

    type Command = PaymentCommand;
    type Event = PaymentEvent;
    type Refusal = PaymentRefusal;

    fn decide(&self, command: &PaymentCommand) -> Result<Vec<PaymentEvent>, PaymentRefusal> {
        let mut events = self.react(command)?;
        let mut after = self.clone();
        for event in &events {
            after.evolve(event);
        }
        events.extend(after.follow_ups(command.at)?);
        Ok(events)
    }

    fn evolve(&mut self, event: &PaymentEvent) {
        self.updated_at = Some(event.at());
        match event {
            PaymentEvent::Requested { .. } => self.requested(event),
            PaymentEvent::Authorized { intent, .. } => {
                self.stage = Stage::Authorized;
                self.intent = Some(intent.clone());
            }
            PaymentEvent::Declined { .. } => self.stage = Stage::Declined,
            PaymentEvent::CaptureRequested { .. } => {
                self.stage = Stage::Capturing;
                self.capture_asked = true;
            }
            PaymentEvent::Captured { .. } => self.stage = Stage::Captured,
            PaymentEvent::CaptureConfirmed { .. } => self.capture_asked = true,
            PaymentEvent::CaptureFailed { code, .. } => {
                self.stage = Stage::CaptureFailed { code: code.clone() };
            }
            PaymentEvent::CancelRequested { .. } => self.cancel = Cancel::Wanted,
            PaymentEvent::VoidRequested { .. } => self.void_asked = true,
            PaymentEvent::Voided { .. } => self.stage = Stage::Voided,
            PaymentEvent::RefundRequested { .. } => self.refund_requested(event),
            PaymentEvent::Refunded { refund_id, .. } => {
                self.settle(*refund_id, RefundStatus::Succeeded);
            }
            PaymentEvent::RefundFailed {
                refund_id,
                retry_at,
                ..
            } => {
                self.settle(*refund_id, RefundStatus::Failed);
                self.retry_at = *retry_at;
            }
            PaymentEvent::Cancelled { .. } => self.cancel = Cancel::Done,
        }
    }

    fn timers(event: &PaymentEvent) -> Vec<TimerChange> {
        let name = RETRY_CANCEL.to_owned();
        match event {
            PaymentEvent::RefundFailed {
                retry_at: Some(due_at),
                ..
            } => vec![TimerChange::Set {
                name,
                due_at: *due_at,
            }],
            PaymentEvent::Cancelled { .. } => vec![TimerChange::Clear { name }],
            _ => Vec::new(),
        }
    }
}

impl Payment {
    fn requested(&mut self, event: &PaymentEvent) {
        if let PaymentEvent::Requested {
            payment_id,
            order_id,
            customer_id,
            amount,
            at,
            ..
        } = event
        {
            self.stage = Stage::Pending;
            self.request = Some(Request {
                payment_id: *payment_id,
                order_id: *order_id,
                customer_id: *customer_id,
                amount: *amount,
                at: *at,
            });
        }
    }

    fn refund_requested(&mut self, event: &PaymentEvent) {
        if let PaymentEvent::RefundRequested {
            refund_id,
            amount,
            at,
            ..
        } = event
        {
            self.retry_at = None;
            self.refunds.push(Refund {
                id: *refund_id,
                amount: *amount,
                status: RefundStatus::Pending,
                at: *at,
            });
        }
    }

    fn settle(&mut self, id: RefundId, status: RefundStatus) {
        for refund in self.refunds.iter_mut().filter(|refund| refund.id == id) {
            refund.status = status;
        }
    }
}
