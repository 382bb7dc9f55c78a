use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shop_kernel::{Money, OrderId, PaymentId, UserId};
use stanchion::eventsourcing::Personal;
use uuid::Uuid;

use crate::domain::ledger::Entries;

/// Which refund of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RefundId(pub(crate) Uuid);

impl fmt::Display for RefundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What can happen to a payment.
///
/// Those that ask the gateway for something (`…Requested`) carry all that the call needs, those that
/// answer another context carry the order, and those that move money carry balanced ledger entries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub(crate) enum PaymentEvent {
    Requested {
        payment_id: PaymentId,
        order_id: OrderId,
        customer_id: UserId,
        amount: Money,
        /// Sealed until the gateway is called.
        payment_method: Personal<String>,
        at: Timestamp,
    },
    Authorized {
        order_id: OrderId,
        intent: String,
        at: Timestamp,
    },
    /// Nothing is reserved or taken, and nothing will be.
    Declined {
        order_id: OrderId,
        code: String,
        at: Timestamp,
    },
    CaptureRequested {
        intent: String,
        amount: Money,
        at: Timestamp,
    },
    Captured {
        order_id: OrderId,
        amount: Money,
        entries: Entries,
        at: Timestamp,
    },
    /// A capture was asked for after the gateway had told of one by itself: the answer to it.
    CaptureConfirmed {
        order_id: OrderId,
        at: Timestamp,
    },
    CaptureFailed {
        code: String,
        at: Timestamp,
    },
    CancelRequested {
        at: Timestamp,
    },
    VoidRequested {
        intent: String,
        at: Timestamp,
    },
    Voided {
        at: Timestamp,
    },
    RefundRequested {
        refund_id: RefundId,
        intent: String,
        amount: Money,
        at: Timestamp,
    },
    Refunded {
        refund_id: RefundId,
        amount: Money,
        entries: Entries,
        at: Timestamp,
    },
    RefundFailed {
        refund_id: RefundId,
        code: String,
        /// When a cancellation asks again.
        retry_at: Option<Timestamp>,
        at: Timestamp,
    },
    /// Nothing of the payment is reserved or kept: the answer to a cancellation, given once.
    Cancelled {
        order_id: OrderId,
        at: Timestamp,
    },
}

impl PaymentEvent {
    /// When it happened.
    pub(crate) fn at(&self) -> Timestamp {
        match self {
            Self::Requested { at, .. }
            | Self::Authorized { at, .. }
            | Self::Declined { at, .. }
            | Self::CaptureRequested { at, .. }
            | Self::Captured { at, .. }
            | Self::CaptureConfirmed { at, .. }
            | Self::CaptureFailed { at, .. }
            | Self::CancelRequested { at }
            | Self::VoidRequested { at, .. }
            | Self::Voided { at }
            | Self::RefundRequested { at, .. }
            | Self::Refunded { at, .. }
            | Self::RefundFailed { at, .. }
            | Self::Cancelled { at, .. } => *at,
        }
    }

    /// The ledger entries of an event that moves money.
    pub(crate) fn entries(&self) -> Option<&Entries> {
        match self {
            Self::Captured { entries, .. } | Self::Refunded { entries, .. } => Some(entries),
            _ => None,
        }
    }
}
