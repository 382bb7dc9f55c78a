use jiff::Timestamp;
use shop_kernel::{Money, OrderId, PaymentId, UserId};
use stanchion::eventsourcing::Personal;

use super::event::RefundId;

/// What a payment is asked or told, and when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PaymentCommand {
    pub(crate) at: Timestamp,
    pub(crate) action: Action,
}

/// What a payment is asked (`Authorize` to `RequestRefund`) or told of the gateway's answers
/// (`Record…`). What is told may come twice, late and by two ways: it takes effect once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Reserve the money.
    Authorize {
        payment_id: PaymentId,
        order_id: OrderId,
        customer_id: UserId,
        amount: Money,
        payment_method: Personal<String>,
    },
    /// Take what is reserved.
    Capture,
    /// Give back whatever is reserved or taken; total, also for a payment that was never made.
    Cancel { order_id: OrderId },
    /// Give back part of what was taken; `None` is all that is left.
    RequestRefund {
        refund_id: RefundId,
        amount: Option<Money>,
    },
    /// A cancellation's refund failed before; the wait is over.
    RetryCancel,
    /// The gateway reserved the money.
    RecordAuthorized { intent: String },
    /// The gateway refused to reserve it.
    RecordDeclined { code: String },
    /// The gateway took the money.
    RecordCaptured { intent: String },
    /// The gateway refused to take it; it may still be reserved.
    RecordCaptureFailed { code: String },
    /// Nothing is reserved any more.
    RecordVoided,
    /// A refund went through.
    RecordRefunded { refund_id: RefundId },
    /// A refund will never go through.
    RecordRefundFailed { refund_id: RefundId, code: String },
}

impl Action {
    /// The command, at a time.
    pub(crate) fn at(self, at: Timestamp) -> PaymentCommand {
        PaymentCommand { at, action: self }
    }
}
