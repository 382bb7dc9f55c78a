//! An order: what a customer wants at which price, and how it ended.

mod item;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shop_contracts::FailureReason;
use shop_kernel::{Money, OrderId, PaymentId, UserId};
use stanchion::eventsourcing::{Aggregate, Personal};

pub(crate) use item::{ITEMS_MAX, Item, ItemFault, Line, QUANTITY_MAX};

/// An order as its stream says it is; empty before it was placed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Order {
    pub(crate) placed: Option<Placed>,
    pub(crate) status: Status,
    pub(crate) reason: Option<FailureReason>,
    /// When it left `pending`.
    pub(crate) settled_at: Option<Timestamp>,
}

/// What was placed; it never changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Placed {
    pub(crate) order_id: OrderId,
    pub(crate) customer_id: UserId,
    pub(crate) payment_id: PaymentId,
    pub(crate) items: Vec<Item>,
    pub(crate) total: Money,
    pub(crate) at: Timestamp,
}

/// Where an order is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Its fulfilment goes on.
    #[default]
    Pending,
    /// Its stock is committed and its money captured.
    Confirmed,
    /// It could not be fulfilled; nothing is held or taken.
    Rejected,
    /// It was called off; what was held or taken goes back.
    Cancelled,
}

#[derive(Clone, Debug)]
pub(crate) enum OrderCommand {
    Place(Place),
    Confirm {
        at: Timestamp,
    },
    Reject {
        reason: FailureReason,
        at: Timestamp,
    },
    Cancel {
        at: Timestamp,
    },
}

/// What it takes to place an order; prices are the catalogue's, each SKU stands in it once.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) order_id: OrderId,
    pub(crate) customer_id: UserId,
    pub(crate) payment_id: PaymentId,
    pub(crate) lines: Vec<Line>,
    pub(crate) payment_method: Personal<String>,
    pub(crate) at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
#[allow(
    clippy::enum_variant_names,
    reason = "a variant's name is the event's type in the log"
)]
pub(crate) enum OrderEvent {
    OrderPlaced {
        order_id: OrderId,
        customer_id: UserId,
        payment_id: PaymentId,
        items: Vec<Item>,
        total: Money,
        /// Sealed from where it enters to where the gateway is called: nothing between needs it.
        payment_method: Personal<String>,
        at: Timestamp,
    },
    OrderConfirmed {
        at: Timestamp,
    },
    OrderRejected {
        reason: FailureReason,
        at: Timestamp,
    },
    OrderCancelled {
        at: Timestamp,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderRefusal {
    #[error("the order is placed already")]
    AlreadyPlaced,
    #[error("no such order")]
    NotFound,
    #[error("a rejected order cannot be cancelled")]
    NotCancellable,
    #[error("an order has 1 to {ITEMS_MAX} items")]
    ItemCount,
    #[error("item {index}: {fault}")]
    Item { index: usize, fault: ItemFault },
}

impl Status {
    /// Whether the fulfilment has come to its end.
    pub(crate) fn is_settled(self) -> bool {
        self != Self::Pending
    }

    /// Whether nothing can happen to the order any more; a confirmed one can still be cancelled.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Rejected | Self::Cancelled)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Order {
    fn place(&self, place: &Place) -> Result<Vec<OrderEvent>, OrderRefusal> {
        if self.placed.is_some() {
            return Err(OrderRefusal::AlreadyPlaced);
        }
        let (items, total) = item::price(&place.lines)?;
        Ok(vec![OrderEvent::OrderPlaced {
            order_id: place.order_id,
            customer_id: place.customer_id,
            payment_id: place.payment_id,
            items,
            total,
            payment_method: place.payment_method.clone(),
            at: place.at,
        }])
    }

    fn settle(&mut self, status: Status, at: Timestamp) {
        self.status = status;
        self.settled_at.get_or_insert(at);
    }
}

impl Aggregate for Order {
    const CATEGORY: &'static str = "order";
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Refusal = OrderRefusal;

    fn decide(&self, command: &OrderCommand) -> Result<Vec<OrderEvent>, OrderRefusal> {
        use OrderCommand as C;
        use OrderEvent as E;
        if let C::Place(place) = command {
            return self.place(place);
        }
        if self.placed.is_none() {
            return Err(OrderRefusal::NotFound);
        }
        // Who cancels first wins: what fulfilment reports after that changes nothing, and it is
        // told of the cancellation by the same log.
        Ok(match (self.status, command) {
            (Status::Pending, C::Confirm { at }) => vec![E::OrderConfirmed { at: *at }],
            (Status::Pending, C::Reject { reason, at }) => {
                vec![E::OrderRejected {
                    reason: *reason,
                    at: *at,
                }]
            }
            (Status::Pending | Status::Confirmed, C::Cancel { at }) => {
                vec![E::OrderCancelled { at: *at }]
            }
            (Status::Rejected, C::Cancel { .. }) => return Err(OrderRefusal::NotCancellable),
            _ => vec![],
        })
    }

    fn evolve(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::OrderPlaced {
                order_id,
                customer_id,
                payment_id,
                items,
                total,
                at,
                ..
            } => {
                self.placed = Some(Placed {
                    order_id: *order_id,
                    customer_id: *customer_id,
                    payment_id: *payment_id,
                    items: items.clone(),
                    total: *total,
                    at: *at,
                });
            }
            OrderEvent::OrderConfirmed { at } => self.settle(Status::Confirmed, *at),
            OrderEvent::OrderRejected { reason, at } => {
                self.reason = Some(*reason);
                self.settle(Status::Rejected, *at);
            }
            OrderEvent::OrderCancelled { at } => self.settle(Status::Cancelled, *at),
        }
    }
}
