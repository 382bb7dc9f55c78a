//! What orders ask for: authorize, capture, cancel.

use shop_contracts::{AuthorizePayment, CancelPayment, CapturePayment};
use shop_kernel::PaymentId;
use stanchion::messaging::{HandlerError, Received};
use stanchion::runtime::clock;

use super::Payments;
use super::call_gateway::settled;
use crate::domain::payment::Action;

/// Asks the gateway to reserve the money.
pub(crate) async fn authorize(
    payments: &Payments,
    asked: AuthorizePayment,
    received: &Received,
) -> Result<(), HandlerError> {
    let action = Action::Authorize {
        payment_id: asked.payment_id,
        order_id: asked.order_id,
        customer_id: asked.customer_id,
        amount: asked.amount,
        payment_method: asked.payment_method,
    };
    execute(payments, asked.payment_id, action, received).await
}

/// Asks the gateway to take it.
pub(crate) async fn capture(
    payments: &Payments,
    asked: CapturePayment,
    received: &Received,
) -> Result<(), HandlerError> {
    execute(payments, asked.payment_id, Action::Capture, received).await
}

/// Gives back whatever is reserved or taken.
pub(crate) async fn cancel(
    payments: &Payments,
    asked: CancelPayment,
    received: &Received,
) -> Result<(), HandlerError> {
    let order_id = asked.order_id;
    let action = Action::Cancel { order_id };
    execute(payments, asked.payment_id, action, received).await
}

async fn execute(
    payments: &Payments,
    id: PaymentId,
    action: Action,
    received: &Received,
) -> Result<(), HandlerError> {
    let id = id.to_string();
    let execution = payments
        .on(&id, &received.metadata)
        .inbox(Some(received.inbox()));
    settled(execution.execute(&action.at(clock::now())).await.map(drop))
}
