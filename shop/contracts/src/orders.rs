use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shop_kernel::{Money, OrderId, PaymentId, UserId};
use stanchion::eventsourcing::Personal;

use crate::{StockItem, contracts};

contracts! {
    OrderPlaced = "orders.order_placed.v1",
    OrderCancelled = "orders.order_cancelled.v1",
    OrderFulfilled = "orders.order_fulfilled.v1",
    OrderFailed = "orders.order_failed.v1",
}

/// A customer placed an order; prices are fixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// Which order.
    pub order_id: OrderId,
    /// Whose.
    pub customer_id: UserId,
    /// The payment that will be made for it.
    pub payment_id: PaymentId,
    /// What is wanted.
    pub items: Vec<StockItem>,
    /// What it costs.
    pub total: Money,
    /// The gateway's name of the payment method, sealed with the customer's key.
    pub payment_method: Personal<String>,
    /// When.
    pub placed_at: Timestamp,
}

/// An order was cancelled, before or after it was settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// Which order.
    pub order_id: OrderId,
}

/// Everything an order needs was done: stock committed, money captured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderFulfilled {
    /// Which order.
    pub order_id: OrderId,
}

/// An order could not be fulfilled, and all that was done for it is undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderFailed {
    /// Which order.
    pub order_id: OrderId,
    /// Why.
    pub reason: FailureReason,
}

/// Why an order could not be fulfilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FailureReason {
    /// Not enough of a product.
    OutOfStock,
    /// A product vanished meanwhile.
    UnknownProduct,
    /// The payment was refused.
    PaymentDeclined,
    /// A step took too long.
    TimedOut,
}
