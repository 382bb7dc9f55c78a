//! Reading an order and its history, from its stream: what was written can be read at once.

use shop_kernel::OrderId;
use stanchion::eventsourcing::{LogError, Recorded, Version};

use super::{Orders, ReadError};
use crate::domain::order::{Order, Placed};

/// The most events of an order that are told; none has nearly as many.
pub(crate) const HISTORY_MAX: usize = 100;

/// A placed order at a version.
pub(crate) struct Found {
    pub(crate) order: Order,
    pub(crate) placed: Placed,
    pub(crate) version: Version,
}

/// The order, if it is one that the caller may see.
pub(crate) async fn find_order(
    orders: &Orders,
    order_id: OrderId,
    may_see: impl Fn(&Order, &Placed) -> bool,
) -> Result<Found, ReadError> {
    let loaded = orders.repository.load(&order_id.to_string()).await?;
    let (Some(placed), Some(version)) = (loaded.state.placed.clone(), loaded.version) else {
        return Err(ReadError::NotFound);
    };
    if !may_see(&loaded.state, &placed) {
        return Err(ReadError::NotFound);
    }
    Ok(Found {
        order: loaded.state,
        placed,
        version,
    })
}

/// Its events from version `from` on, oldest first.
pub(crate) async fn history(
    orders: &Orders,
    order_id: OrderId,
    from: Version,
) -> Result<Vec<Recorded>, LogError> {
    let id = order_id.to_string();
    orders.repository.history(&id, from, HISTORY_MAX).await
}
