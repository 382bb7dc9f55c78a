use serde::{Deserialize, Serialize};
use shop_kernel::{Money, OrderId, PaymentId, UserId};
use stanchion::eventsourcing::Personal;

use crate::contracts;

contracts! {
    AuthorizePayment = "payments.authorize_payment.v1",
    CapturePayment = "payments.capture_payment.v1",
    CancelPayment = "payments.cancel_payment.v1",
    PaymentAuthorized = "payments.payment_authorized.v1",
    PaymentDeclined = "payments.payment_declined.v1",
    PaymentCaptured = "payments.payment_captured.v1",
    PaymentCancelled = "payments.payment_cancelled.v1",
}

/// Command: reserve the money. Answered by authorized or declined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthorizePayment {
    /// For which order.
    pub order_id: OrderId,
    /// Which payment to make.
    pub payment_id: PaymentId,
    /// Who pays.
    pub customer_id: UserId,
    /// How much.
    pub amount: Money,
    /// The gateway's name of the payment method, sealed with the customer's key.
    pub payment_method: Personal<String>,
}

/// Command: take the money that was reserved. Answered by captured or declined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapturePayment {
    /// For which order.
    pub order_id: OrderId,
    /// Which payment.
    pub payment_id: PaymentId,
}

/// Command: give back whatever was reserved (void) or taken (refund). Always answered by cancelled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CancelPayment {
    /// For which order.
    pub order_id: OrderId,
    /// Which payment.
    pub payment_id: PaymentId,
}

/// The money is reserved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentAuthorized {
    /// For which order.
    pub order_id: OrderId,
    /// Which payment.
    pub payment_id: PaymentId,
}

/// The gateway refused; nothing is reserved or taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentDeclined {
    /// For which order.
    pub order_id: OrderId,
    /// Which payment.
    pub payment_id: PaymentId,
    /// The gateway's code, such as `card_declined`.
    pub code: String,
}

/// The money is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentCaptured {
    /// For which order.
    pub order_id: OrderId,
    /// Which payment.
    pub payment_id: PaymentId,
}

/// Nothing of the payment is reserved or kept any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentCancelled {
    /// For which order.
    pub order_id: OrderId,
    /// Which payment.
    pub payment_id: PaymentId,
}
