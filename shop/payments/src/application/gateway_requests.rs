//! What payments asks itself to call the gateway for: contracts that never leave the context.
//!
//! They are announced from the log like any other, so a call is made only for what is committed,
//! at least once, in the order of its payment.

use serde::{Deserialize, Serialize};
use shop_kernel::{Money, OrderId, PaymentId};
use stanchion::eventsourcing::Personal;
use stanchion::messaging::Contract;

use crate::domain::payment::RefundId;

/// Reserve the money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GatewayAuthorizationRequested {
    pub(crate) payment_id: PaymentId,
    pub(crate) order_id: OrderId,
    pub(crate) amount: Money,
    pub(crate) payment_method: Personal<String>,
}

/// Take the money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GatewayCaptureRequested {
    pub(crate) payment_id: PaymentId,
    pub(crate) intent: String,
    pub(crate) amount: Money,
}

/// Free the money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GatewayVoidRequested {
    pub(crate) payment_id: PaymentId,
    pub(crate) intent: String,
}

/// Give the money back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GatewayRefundRequested {
    pub(crate) payment_id: PaymentId,
    pub(crate) refund_id: RefundId,
    pub(crate) intent: String,
    pub(crate) amount: Money,
}

/// Names each request and says that its payment is what keeps it in order.
macro_rules! requests {
    ($($request:ty = $name:literal),+ $(,)?) => {$(
        impl Contract for $request {
            const NAME: &'static str = $name;

            fn key(&self) -> String {
                self.payment_id.to_string()
            }
        }
    )+};
}

requests! {
    GatewayAuthorizationRequested = "payments.gateway_authorization_requested.v1",
    GatewayCaptureRequested = "payments.gateway_capture_requested.v1",
    GatewayVoidRequested = "payments.gateway_void_requested.v1",
    GatewayRefundRequested = "payments.gateway_refund_requested.v1",
}
