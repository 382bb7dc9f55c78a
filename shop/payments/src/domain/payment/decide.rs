//! What a payment does about each command, and what a cancellation takes next.

use std::time::Duration;

use jiff::Timestamp;
use shop_kernel::{Money, OrderId};
use uuid::Uuid;

use super::{
    Action, Cancel, Payment, PaymentCommand, PaymentEvent as Event, PaymentRefusal as Refusal,
    REFUNDS_MAX, RefundId, RefundStatus, Request, Stage,
};
use crate::domain::ledger::Entries;

/// The wait before a cancellation's failed refund is asked for again, doubled each time.
const RETRY_FIRST: Duration = Duration::from_secs(60);

/// The longest such wait. There is no last attempt: the money is the customer's.
const RETRY_MAX: Duration = Duration::from_secs(3_600);

/// The intent of a payment of nothing: the gateway is not asked for it.
const NO_INTENT: &str = "none";

/// The code of a capture whose authorization had ended.
const AUTHORIZATION_ENDED: &str = "authorization_ended";

type Decision = Result<Vec<Event>, Refusal>;

impl Payment {
    /// What the command itself makes happen.
    pub(super) fn react(&self, command: &PaymentCommand) -> Decision {
        let at = command.at;
        match &command.action {
            Action::Authorize { .. } => Ok(self.authorize(command)),
            Action::Capture => self.capture(at),
            Action::Cancel { order_id } => Ok(self.cancel(*order_id, at)),
            Action::RequestRefund { refund_id, amount } => {
                self.request_refund(*refund_id, *amount, at)
            }
            Action::RetryCancel => Ok(Vec::new()),
            Action::RecordAuthorized { intent } => Ok(self.authorized(intent, at)),
            Action::RecordDeclined { code } => Ok(self.declined(code, at)),
            Action::RecordCaptured { intent } => self.captured_by_gateway(intent, at),
            Action::RecordCaptureFailed { code } => Ok(self.capture_failed(code, at)),
            Action::RecordVoided => self.voided(at),
            Action::RecordRefunded { refund_id } => self.refund_succeeded(*refund_id, at),
            Action::RecordRefundFailed { refund_id, code } => {
                self.refund_failed(*refund_id, code, at)
            }
        }
    }

    /// What it takes next until a wanted cancellation is done, or a failed capture is undone.
    pub(super) fn follow_ups(&self, at: Timestamp) -> Decision {
        let wanted = self.cancel == Cancel::Wanted;
        match (&self.stage, &self.request, &self.intent) {
            (Stage::CaptureFailed { .. }, _, Some(intent)) if !self.void_asked => {
                Ok(vec![void(intent, at)])
            }
            (Stage::Authorized, Some(request), _) if wanted && request.is_free() => {
                let order_id = request.order_id;
                Ok(vec![Event::Voided { at }, cancelled(order_id, at)])
            }
            (Stage::Authorized | Stage::Capturing, _, Some(intent))
                if wanted && !self.void_asked =>
            {
                Ok(vec![void(intent, at)])
            }
            (Stage::Declined | Stage::Voided, Some(request), _) if wanted => {
                Ok(vec![cancelled(request.order_id, at)])
            }
            (Stage::Captured, Some(request), Some(intent)) if wanted => {
                Ok(self.give_back_the_rest(request, intent, at))
            }
            _ => Ok(Vec::new()),
        }
    }

    fn authorize(&self, command: &PaymentCommand) -> Vec<Event> {
        match &command.action {
            Action::Authorize {
                payment_id,
                order_id,
                customer_id,
                amount,
                payment_method,
            } if self.stage == Stage::Unmade && self.cancel == Cancel::No => {
                let at = command.at;
                let requested = Event::Requested {
                    payment_id: *payment_id,
                    order_id: *order_id,
                    customer_id: *customer_id,
                    amount: *amount,
                    payment_method: payment_method.clone(),
                    at,
                };
                let authorized = (amount.amount == 0).then(|| Event::Authorized {
                    order_id: *order_id,
                    intent: NO_INTENT.into(),
                    at,
                });
                std::iter::once(requested).chain(authorized).collect()
            }
            _ => Vec::new(),
        }
    }

    fn capture(&self, at: Timestamp) -> Decision {
        if self.is_cancelled() {
            return Ok(Vec::new());
        }
        let request = self.request.as_ref().ok_or(Refusal::Unknown)?;
        let order_id = request.order_id;
        match (&self.stage, &self.intent) {
            (Stage::Authorized, Some(intent)) => {
                let requested = Event::CaptureRequested {
                    intent: intent.clone(),
                    amount: request.amount,
                    at,
                };
                let taken = request.is_free().then(|| request.taken(at)).transpose()?;
                Ok(std::iter::once(requested).chain(taken).collect())
            }
            (Stage::Captured, _) if !self.capture_asked => {
                Ok(vec![Event::CaptureConfirmed { order_id, at }])
            }
            (Stage::Voided, _) => Ok(vec![declined(order_id, AUTHORIZATION_ENDED, at)]),
            (Stage::Unmade | Stage::Pending | Stage::Authorized, _) => Err(Refusal::NotAuthorized),
            _ => Ok(Vec::new()),
        }
    }

    fn cancel(&self, order_id: OrderId, at: Timestamp) -> Vec<Event> {
        match (self.cancel, &self.stage) {
            (Cancel::No, Stage::Unmade) => vec![cancelled(order_id, at)],
            (Cancel::No, _) => vec![Event::CancelRequested { at }],
            _ => Vec::new(),
        }
    }

    fn request_refund(
        &self,
        refund_id: RefundId,
        wanted: Option<Money>,
        at: Timestamp,
    ) -> Decision {
        let request = self.request.as_ref().ok_or(Refusal::Unknown)?;
        if self.refunds.iter().any(|refund| refund.id == refund_id) {
            return Ok(Vec::new());
        }
        let (Stage::Captured, Some(intent)) = (&self.stage, &self.intent) else {
            return Err(Refusal::NotCaptured);
        };
        let amount = self.refundable(request, wanted)?;
        Ok(vec![Event::RefundRequested {
            refund_id,
            intent: intent.clone(),
            amount,
            at,
        }])
    }

    fn refundable(&self, request: &Request, wanted: Option<Money>) -> Result<Money, Refusal> {
        let money = |amount| Money::new(amount, request.amount.currency);
        let unless_pending = self.captured() - self.refunded();
        if unless_pending == 0 {
            return Err(Refusal::AlreadyRefunded);
        }
        if self.is_cancelled() {
            return Err(Refusal::BeingCancelled);
        }
        if self.refunds.len() >= REFUNDS_MAX {
            return Err(Refusal::TooManyRefunds);
        }
        let amount = wanted.unwrap_or(money(self.left().max(1)));
        if amount.currency != request.amount.currency {
            return Err(Refusal::OtherCurrency);
        }
        match amount.amount {
            ..=0 => Err(Refusal::NotPositive),
            more if more > unless_pending => Err(Refusal::MoreThanLeft {
                left: money(self.left()),
            }),
            more if more > self.left() => Err(Refusal::RefundInProgress),
            _ => Ok(amount),
        }
    }

    fn authorized(&self, intent: &str, at: Timestamp) -> Vec<Event> {
        match (&self.stage, &self.request) {
            (Stage::Pending, Some(request)) => vec![Event::Authorized {
                order_id: request.order_id,
                intent: intent.to_owned(),
                at,
            }],
            _ => Vec::new(),
        }
    }

    fn declined(&self, code: &str, at: Timestamp) -> Vec<Event> {
        match (&self.stage, &self.request) {
            (Stage::Pending, Some(request)) => vec![declined(request.order_id, code, at)],
            _ => Vec::new(),
        }
    }

    fn captured_by_gateway(&self, intent: &str, at: Timestamp) -> Decision {
        let request = self.request.as_ref().ok_or(Refusal::Unknown)?;
        match &self.stage {
            Stage::Captured => return Ok(Vec::new()),
            Stage::Voided | Stage::Declined => {
                return Err(Refusal::Contradiction(
                    "captured after it was voided or declined",
                ));
            }
            _ => {}
        }
        let mut events = self.authorized(intent, at);
        events.push(request.taken(at)?);
        Ok(events)
    }

    fn capture_failed(&self, code: &str, at: Timestamp) -> Vec<Event> {
        if self.stage != Stage::Capturing {
            return Vec::new();
        }
        let code = code.to_owned();
        vec![Event::CaptureFailed { code, at }]
    }

    fn voided(&self, at: Timestamp) -> Decision {
        let request = self.request.as_ref().ok_or(Refusal::Unknown)?;
        let answer = match &self.stage {
            Stage::Voided | Stage::Declined => return Ok(Vec::new()),
            Stage::Captured => {
                return Err(Refusal::Contradiction("voided after it was captured"));
            }
            // Whoever waits for an authorization or a capture learns that there will be none.
            Stage::CaptureFailed { code } => Some(code.as_str()),
            Stage::Unmade | Stage::Pending | Stage::Capturing => Some(AUTHORIZATION_ENDED),
            Stage::Authorized => None,
        };
        let answer = answer.filter(|_| self.cancel == Cancel::No);
        let answer = answer.map(|code| declined(request.order_id, code, at));
        Ok(std::iter::once(Event::Voided { at })
            .chain(answer)
            .collect())
    }

    fn refund_succeeded(&self, id: RefundId, at: Timestamp) -> Decision {
        let Some(refund) = self.refunds.iter().find(|refund| refund.id == id) else {
            return Err(Refusal::Contradiction("a refund that nobody asked for"));
        };
        match refund.status {
            RefundStatus::Succeeded => Ok(Vec::new()),
            RefundStatus::Failed => Err(Refusal::Contradiction("refunded after it failed")),
            RefundStatus::Pending => Ok(vec![Event::Refunded {
                refund_id: id,
                amount: refund.amount,
                entries: Entries::refund(refund.amount)?,
                at,
            }]),
        }
    }

    fn refund_failed(&self, id: RefundId, code: &str, at: Timestamp) -> Decision {
        let Some(refund) = self.refunds.iter().find(|refund| refund.id == id) else {
            return Err(Refusal::Contradiction("a refund that nobody asked for"));
        };
        match refund.status {
            RefundStatus::Failed => Ok(Vec::new()),
            RefundStatus::Succeeded => Err(Refusal::Contradiction("a refund failed after all")),
            RefundStatus::Pending => Ok(vec![Event::RefundFailed {
                refund_id: id,
                code: code.to_owned(),
                retry_at: (self.cancel == Cancel::Wanted).then(|| at + self.retry_wait()),
                at,
            }]),
        }
    }

    fn retry_wait(&self) -> Duration {
        let failed = |refund: &&super::Refund| refund.status == RefundStatus::Failed;
        let failures = self.refunds.iter().filter(failed).count().min(16);
        RETRY_FIRST.saturating_mul(1 << failures).min(RETRY_MAX)
    }

    fn give_back_the_rest(&self, request: &Request, intent: &str, at: Timestamp) -> Vec<Event> {
        let waits = self.retry_at.is_some_and(|retry_at| retry_at > at);
        match self.left() {
            0 if self.refunding() == 0 => vec![cancelled(request.order_id, at)],
            left if left > 0 && !waits => vec![Event::RefundRequested {
                refund_id: self.own_refund_id(request),
                intent: intent.to_owned(),
                amount: Money::new(left, request.amount.currency),
                at,
            }],
            _ => Vec::new(),
        }
    }

    /// The id of a cancellation's refund: made of the payment and how many there were before.
    fn own_refund_id(&self, request: &Request) -> RefundId {
        let name = format!("cancel/{}", self.refunds.len());
        RefundId(Uuid::new_v5(&request.payment_id.0, name.as_bytes()))
    }
}

impl Request {
    /// Whether there is nothing to pay.
    fn is_free(&self) -> bool {
        self.amount.amount == 0
    }

    fn taken(&self, at: Timestamp) -> Result<Event, Refusal> {
        Ok(Event::Captured {
            order_id: self.order_id,
            amount: self.amount,
            entries: Entries::sale(self.amount)?,
            at,
        })
    }
}

fn void(intent: &str, at: Timestamp) -> Event {
    let intent = intent.to_owned();
    Event::VoidRequested { intent, at }
}

fn declined(order_id: OrderId, code: &str, at: Timestamp) -> Event {
    let code = code.to_owned();
    Event::Declined { order_id, code, at }
}

fn cancelled(order_id: OrderId, at: Timestamp) -> Event {
    Event::Cancelled { order_id, at }
}
