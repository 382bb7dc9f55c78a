//! Who listens: the fulfilment of orders, and the order that is told how it ended.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use shop_contracts::{
    OrderCancelled, OrderFailed, OrderFulfilled, OrderPlaced, PaymentAuthorized, PaymentCancelled,
    PaymentCaptured, PaymentDeclined, StockCommitted, StockRefused, StockReleased, StockReserved,
};
use shop_kernel::OrderId;
use stanchion::eventsourcing::{Instance, InstanceList, ProcessManager, Repository};
use stanchion::messaging::Consumer;
use stanchion::telemetry::Metrics;

use crate::application::settle_order;
use crate::domain::fulfilment::{Fulfilment, FulfilmentCommand as Tell};
use crate::domain::order::Order;

/// The consumer that feeds fulfilment; part of its progress, the same for ever.
pub(crate) const FULFILMENT: &str = "orders.fulfilment";

/// The consumer that settles orders.
pub(crate) const SETTLEMENT: &str = "orders.settlement";

/// Fulfilment, one instance an order, fed by orders, inventory and payments.
pub(crate) fn fulfilment(
    repository: Arc<Repository<Instance<Fulfilment>>>,
    consumer: Consumer,
    list: Arc<dyn InstanceList>,
    metrics: &Metrics,
    step_timeout: SignedDuration,
) -> ProcessManager<Instance<Fulfilment>> {
    ProcessManager::managed(repository, consumer)
        .with_metrics(list, metrics)
        .on(move |order: OrderPlaced, _| {
            let id = key(order.order_id);
            let order = Box::new(order);
            let at = now();
            let start = Tell::Start {
                order,
                step_timeout,
                at,
            };
            (id, start.into())
        })
        .on(|it: OrderCancelled, _| (key(it.order_id), Tell::Cancel.into()))
        .on(|it: StockReserved, _| (key(it.order_id), Tell::StockReserved { at: now() }.into()))
        .on(|it: StockRefused, _| {
            (
                key(it.order_id),
                Tell::StockRefused { reason: it.reason }.into(),
            )
        })
        .on(|it: StockCommitted, _| (key(it.order_id), Tell::StockCommitted { at: now() }.into()))
        .on(|it: StockReleased, _| (key(it.order_id), Tell::StockReleased.into()))
        .on(|it: PaymentAuthorized, _| {
            (
                key(it.order_id),
                Tell::PaymentAuthorized { at: now() }.into(),
            )
        })
        .on(|it: PaymentDeclined, _| (key(it.order_id), Tell::PaymentDeclined.into()))
        .on(|it: PaymentCaptured, _| (key(it.order_id), Tell::PaymentCaptured.into()))
        .on(|it: PaymentCancelled, _| (key(it.order_id), Tell::PaymentCancelled.into()))
        .on_timer(|_, at| Tell::TimeOut { at }.into())
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
