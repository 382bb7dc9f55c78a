//! Cancelling an order, before or after it is settled.

use shop_kernel::OrderId;
use stanchion::eventsourcing::{ExecuteError, Executed, Version};
use stanchion::messaging::{InboxEntry, Metadata};
use tracing::{Instrument, info_span};

use super::Orders;
use crate::domain::order::{Order, OrderCommand, OrderRefusal};

/// Cancels the order, only at the `expected` version if one is given.
///
/// Stock and money go back in their own time: the fulfilment is told by the log.
pub(crate) async fn cancel_order(
    orders: &Orders,
    order_id: OrderId,
    expected: Option<Version>,
    metadata: &Metadata,
    settling: impl Fn(&Order, Version) -> Option<InboxEntry> + Send + Sync,
) -> Result<Executed<Order>, ExecuteError<OrderRefusal>> {
    let id = order_id.to_string();
    let at = stanchion::runtime::clock::now();
    let execution = orders.repository.on(&id, metadata);
    execution
        .expecting(expected)
        .settling(settling)
        .execute(&OrderCommand::Cancel { at })
        .instrument(info_span!("order.cancel", order.id = %order_id))
        .await
}
