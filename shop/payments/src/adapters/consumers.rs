//! Who listens to what: orders' commands, and our own requests to the gateway.

use std::sync::Arc;
use std::time::Duration;

use shop_contracts::{AuthorizePayment, CancelPayment, CapturePayment};
use stanchion::messaging::{Consumer, ConsumerLimits};

use crate::application::call_gateway::CallGateway;
use crate::application::gateway_requests::{
    GatewayAuthorizationRequested, GatewayCaptureRequested, GatewayRefundRequested,
    GatewayVoidRequested,
};
use crate::application::{Payments, answer_orders};

/// The consumer of orders' commands; part of its progress, the same for ever.
pub(crate) const COMMANDS: &str = "payments-commands";

/// The consumer that calls the gateway; part of its progress, the same for ever.
pub(crate) const GATEWAY: &str = "payments-gateway";

/// Calls to the gateway at the same time.
const CALLS_MAX: usize = 64;

/// The longest wait before a call whose outcome is unknown is made again.
const CALL_AGAIN: Duration = Duration::from_secs(1);

/// What orders ask for.
pub(crate) fn commands(payments: &Arc<Payments>, consumer: Consumer) -> Consumer {
    let [authorize, capture, cancel] = [payments; 3].map(Arc::clone);
    consumer
        .on(move |asked: AuthorizePayment, received| {
            let payments = Arc::clone(&authorize);
            async move { answer_orders::authorize(&payments, asked, &received).await }
        })
        .on(move |asked: CapturePayment, received| {
            let payments = Arc::clone(&capture);
            async move { answer_orders::capture(&payments, asked, &received).await }
        })
        .on(move |asked: CancelPayment, received| {
            let payments = Arc::clone(&cancel);
            async move { answer_orders::cancel(&payments, asked, &received).await }
        })
}

/// What the gateway is called for.
pub(crate) fn gateway(
    caller: &CallGateway,
    consumer: Consumer,
    limits: &ConsumerLimits,
) -> Consumer {
    let [authorize, capture, void, refund] = [caller; 4].map(CallGateway::clone);
    consumer
        .limits(ConsumerLimits {
            keys_max: CALLS_MAX,
            backoff_base: CALL_AGAIN,
            ..limits.clone()
        })
        .on(move |request: GatewayAuthorizationRequested, received| {
            let caller = authorize.clone();
            async move { caller.authorize(request, received).await }
        })
        .on(move |request: GatewayCaptureRequested, received| {
            let caller = capture.clone();
            async move { caller.capture(request, received).await }
        })
        .on(move |request: GatewayVoidRequested, received| {
            let caller = void.clone();
            async move { caller.void(request, received).await }
        })
        .on(move |request: GatewayRefundRequested, received| {
            let caller = refund.clone();
            async move { caller.refund(request, received).await }
        })
}
