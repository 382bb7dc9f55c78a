//! What fulfilment came to, told to the order.

use jiff::Timestamp;
use shop_contracts::{OrderFailed, OrderFulfilled};
use shop_kernel::OrderId;
use stanchion::eventsourcing::{ExecuteError, Repository};
use stanchion::messaging::{HandlerError, Received};
use tracing::{Instrument, info_span};

use crate::domain::order::{Order, OrderCommand};

/// Everything was done: the order is confirmed.
pub(crate) async fn confirm(
    repository: &Repository<Order>,
    fulfilled: OrderFulfilled,
    received: &Received,
) -> Result<(), HandlerError> {
    let at = now();
    settle(
        repository,
        fulfilled.order_id,
        OrderCommand::Confirm { at },
        received,
    )
    .await
}

/// It could not be done: the order is rejected.
pub(crate) async fn reject(
    repository: &Repository<Order>,
    failed: OrderFailed,
    received: &Received,
) -> Result<(), HandlerError> {
    let (reason, at) = (failed.reason, now());
    settle(
        repository,
        failed.order_id,
        OrderCommand::Reject { reason, at },
        received,
    )
    .await
}

async fn settle(
    repository: &Repository<Order>,
    order_id: OrderId,
    command: OrderCommand,
    received: &Received,
) -> Result<(), HandlerError> {
    let id = order_id.to_string();
    let execution = repository
        .on(&id, &received.metadata)
        .inbox(Some(received.inbox()));
    let span = info_span!("order.settle", order.id = %order_id);
    match execution.execute(&command).instrument(span).await {
        Ok(_) | Err(ExecuteError::AlreadyHandled { .. }) => Ok(()),
        Err(ExecuteError::Refused(refusal)) => Err(HandlerError::Rejected(refusal.to_string())),
        Err(error) => Err(HandlerError::Later(error.to_string())),
    }
}

fn now() -> Timestamp {
    stanchion::runtime::clock::now()
}
