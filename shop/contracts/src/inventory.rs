use jiff::Timestamp;
use serde::{Deserialize, Serialize};
#[cfg(feature = "next")]
use shop_kernel::UserId;
use shop_kernel::{OrderId, Sku};

use crate::contracts;

contracts! {
    ReserveStock = "inventory.reserve_stock.v1",
    CommitStock = "inventory.commit_stock.v1",
    ReleaseStock = "inventory.release_stock.v1",
    StockReserved = "inventory.stock_reserved.v1",
    StockRefused = "inventory.stock_refused.v1",
    StockCommitted = "inventory.stock_committed.v1",
    StockReleased = "inventory.stock_released.v1",
}

#[cfg(feature = "next")]
contracts! {
    ReserveStockV2 = "inventory.reserve_stock.v2",
}

/// So many of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockItem {
    /// Which product.
    pub sku: Sku,
    /// How many, at least 1.
    pub quantity: i64,
}

/// Command: hold stock for an order, all of it or nothing. Answered by reserved or refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReserveStock {
    /// For which order.
    pub order_id: OrderId,
    /// What to hold; a product stands in it once.
    pub items: Vec<StockItem>,
    /// When the reservation ends by itself.
    pub until: Timestamp,
}

/// The next version of [`ReserveStock`], of a release that is only rehearsed.
#[cfg(feature = "next")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReserveStockV2 {
    /// For which order.
    pub order_id: OrderId,
    /// For whom.
    pub customer_id: UserId,
    /// What to hold; a product stands in it once.
    pub lines: Vec<StockItem>,
    /// When the reservation ends by itself.
    pub until: Timestamp,
}

/// Command: what is held leaves the stock. Answered by committed, or released if it ended before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommitStock {
    /// Of which order.
    pub order_id: OrderId,
}

/// Command: what is held or was committed returns to the stock. Always answered by released.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleaseStock {
    /// Of which order.
    pub order_id: OrderId,
}

/// Stock is held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StockReserved {
    /// For which order.
    pub order_id: OrderId,
}

/// Stock could not be held; nothing is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StockRefused {
    /// For which order.
    pub order_id: OrderId,
    /// Why.
    pub reason: RefusalReason,
}

/// Why stock could not be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// Not enough of a product.
    OutOfStock,
    /// No such product.
    UnknownProduct,
}

/// What was held left the stock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StockCommitted {
    /// Of which order.
    pub order_id: OrderId,
}

/// Nothing is held or committed for the order any more: it was asked for, or the time was over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StockReleased {
    /// Of which order.
    pub order_id: OrderId,
}
