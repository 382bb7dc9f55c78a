//! Who listens: the fulfilment of orders, and the order that is told how it ended.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use shop_contracts::{
    OrderCancelled, OrderFailed, OrderFulfilled, OrderPlaced, PaymentAuthorized, PaymentCancelled,
    PaymentCaptured, PaymentDeclined, StockCommitted, StockRefused, StockReleased, StockReserved,
};
use shop_kernel::OrderId;
use stanchion::eventsourcing::{ProcessManager, Repository};
use stanchion::messaging::Consumer;

use crate::application::settle_order;
use crate::domain::fulfilment::{Fulfilment, FulfilmentCommand as Tell};
use crate::domain::order::Order;

/// The consumer that feeds fulfilment; part of its progress, the same for ever.
pub(crate) const FULFILMENT: &str = "orders.fulfilment";

/// The consumer that settles orders.
pub(crate) const SETTLEMENT: &str = "orders.settlement";

/// Fulfilment, one instance an order, fed by orders, inventory and payments.
pub(crate) fn fulfilment(
    repository: Arc<Repository<Fulfilment>>,
    consumer: Consumer,
    step_timeout: SignedDuration,
) -> ProcessManager<Fulfilment> {
    ProcessManager::new(repository, consumer)
        .on(move |order: OrderPlaced, _| {
            let id = key(order.order_id);
            let order = Box::new(order);
            let at = now();
            (
                id,
                Tell::Start {
                    order,
                    step_timeout,
                    at,
                },
            )
        })
        .on(|it: OrderCancelled, _| (key(it.order_id), Tell::Cancel))
        .on(|it: StockReserved, _| (key(it.order_id), Tell::StockReserved { at: now() }))
        .on(|it: StockRefused, _| (key(it.order_id), Tell::StockRefused { reason: it.reason }))
        .on(|it: StockCommitted, _| (key(it.order_id), Tell::StockCommitted { at: now() }))
        .on(|it: StockReleased, _| (key(it.order_id), Tell::StockReleased))
        .on(|it: PaymentAuthorized, _| (key(it.order_id), Tell::PaymentAuthorized { at: now() }))
        .on(|it: PaymentDeclined, _| (key(it.order_id), Tell::PaymentDeclined))
        .on(|it: PaymentCaptured, _| (key(it.order_id), Tell::PaymentCaptured))
        .on(|it: PaymentCancelled, _| (key(it.order_id), Tell::PaymentCancelled))
        .on_timer(|_, at| Tell::TimeOut { at })
}

/// Confirms and rejects orders as fulfilment ends.
pub(crate) fn settlement(orders: &Arc<Repository<Order>>, consumer: Consumer) -> Consumer {
    let (confirmed, rejected) = (Arc::clone(orders), Arc::clone(orders));
    consumer
        .on(move |fulfilled: OrderFulfilled, received| {
            let orders = Arc::clone(&confirmed);
            async move { settle_order::confirm(&orders, fulfilled, &received).await }
        })
        .on(move |failed: OrderFailed, received| {
            let orders = Arc::clone(&rejected);
            async move { settle_order::reject(&orders, failed, &received).await }
        })
}

fn key(order_id: OrderId) -> String {
    order_id.to_string()
}

fn now() -> Timestamp {
    stanchion::runtime::clock::now()
}
