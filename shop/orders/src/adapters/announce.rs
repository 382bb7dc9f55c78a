//! What orders tells and asks the others, made of its log and of nothing else.

#[cfg(test)]
mod tests;

#[cfg(not(feature = "next"))]
use shop_contracts::ReserveStock;
#[cfg(feature = "next")]
use shop_contracts::ReserveStockV2;
use shop_contracts::{
    AuthorizePayment, CancelPayment, CapturePayment, CommitStock, OrderCancelled, OrderFailed,
    OrderFulfilled, OrderPlaced, ReleaseStock, StockItem,
};
use shop_kernel::OrderId;
use stanchion::eventsourcing::{Aggregate, Announcement, ProcessEvent, Recorded, UnknownEvent};

use crate::domain::fulfilment::{Fulfilment, FulfilmentEvent};
use crate::domain::order::{Item, Order, OrderEvent};

/// The contracts that an entry is announced as.
pub(crate) fn announce(recorded: &Recorded) -> Result<Vec<Announcement>, UnknownEvent> {
    let order_id = recorded.stream.id().parse::<OrderId>();
    let order_id =
        order_id.map_err(|error| UnknownEvent(format!("{}: {error}", recorded.stream)))?;
    match recorded.stream.category() {
        Order::CATEGORY => Ok(of_order(order_id, recorded.decode()?)),
        Fulfilment::CATEGORY => Ok(of_fulfilment(order_id, recorded.decode()?)),
        other => Err(UnknownEvent(format!("orders has no category `{other}`"))),
    }
}

fn of_order(order_id: OrderId, event: OrderEvent) -> Vec<Announcement> {
    match event {
        OrderEvent::OrderPlaced {
            order_id,
            customer_id,
            payment_id,
            items,
            total,
            payment_method,
            at,
        } => vec![Announcement::of(&OrderPlaced {
            order_id,
            customer_id,
            payment_id,
            items: items.into_iter().map(stock_item).collect(),
            total,
            payment_method,
            placed_at: at,
        })],
        OrderEvent::OrderCancelled { .. } => vec![Announcement::of(&OrderCancelled { order_id })],
        // Both were told by fulfilment before.
        OrderEvent::OrderConfirmed { .. } | OrderEvent::OrderRejected { .. } => vec![],
    }
}

fn of_fulfilment(order_id: OrderId, event: ProcessEvent<FulfilmentEvent>) -> Vec<Announcement> {
    use FulfilmentEvent as E;
    let ProcessEvent::Own(event) = event else {
        // That it was paused, and the like, is nobody else's business.
        return vec![];
    };
    match event {
        #[cfg(not(feature = "next"))]
        E::FulfilmentStarted { items, until, .. } => {
            vec![Announcement::of(&ReserveStock {
                order_id,
                items,
                until,
            })]
        }
        #[cfg(feature = "next")]
        E::FulfilmentStarted {
            about,
            items,
            until,
            ..
        } => {
            vec![Announcement::of(&ReserveStockV2 {
                order_id,
                customer_id: about.customer_id,
                lines: items,
                until,
            })]
        }
        E::StockHeld {
            payment_id,
            customer_id,
            amount,
            payment_method,
            ..
        } => vec![Announcement::of(&AuthorizePayment {
            order_id,
            payment_id,
            customer_id,
            amount,
            payment_method,
        })],
        E::PaymentAuthorized { .. } => vec![Announcement::of(&CommitStock { order_id })],
        E::StockCommitted { payment_id, .. } => {
            vec![Announcement::of(&CapturePayment {
                order_id,
                payment_id,
            })]
        }
        E::PaymentCaptured => vec![Announcement::of(&OrderFulfilled { order_id })],
        E::CompensationStarted { stock, payment, .. } => {
            let release = stock.then(|| Announcement::of(&ReleaseStock { order_id }));
            let cancel = payment.map(|payment_id| {
                Announcement::of(&CancelPayment {
                    order_id,
                    payment_id,
                })
            });
            release.into_iter().chain(cancel).collect()
        }
        E::FulfilmentFailed { reason } => {
            vec![Announcement::of(&OrderFailed { order_id, reason })]
        }
        // The order knows that it was called off.
        E::StockUndone | E::PaymentUndone | E::FulfilmentCancelled => vec![],
    }
}

fn stock_item(item: Item) -> StockItem {
    StockItem {
        sku: item.sku,
        quantity: item.quantity,
    }
}
