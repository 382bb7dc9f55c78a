//! What old entries are announced as: a row that changes here breaks another context.

use std::sync::Arc;

use serde_json::{Value, json};
use stanchion::eventsourcing::{Append, EventLog, Expected, MemoryLog, NewEvent, Relay, StreamId};
use stanchion::messaging::{Feed, Metadata, Place};

use super::announce;

const ORDER: &str = "0190b5a0-0000-7000-8000-000000000001";
const CUSTOMER: &str = "0190b5a0-0000-7000-8000-000000000002";
const PAYMENT: &str = "0190b5a0-0000-7000-8000-000000000003";

/// An entry as the log keeps it, announced: each contract with its payload.
async fn announced(category: &str, kind: &str, data: Value) -> Value {
    let log = Arc::new(MemoryLog::new());
    let event = NewEvent {
        id: stanchion::runtime::id::new_v7(),
        kind: kind.into(),
        data: data.into(),
    };
    let append = Append {
        stream: StreamId::new(category, ORDER),
        expected: Expected::NoStream,
        events: vec![event],
        inbox: None,
        timers: vec![],
        metadata: Metadata::new(None),
    };
    log.append(append).await.unwrap();
    let page = Relay::new("orders", log, announce)
        .read(Place::START, 10)
        .await;
    let messages = page.unwrap().messages.into_iter().map(|message| {
        assert_eq!(message.key, ORDER);
        json!([message.contract, message.payload])
    });
    messages.collect()
}

fn eur(amount: i64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

/// What is personal goes on as it is stored.
fn sealed() -> Value {
    json!({"subject": CUSTOMER, "cipher": "AQ"})
}

#[tokio::test]
async fn a_placed_order_is_announced_without_names_and_prices() {
    let item = json!({
        "sku": "BEANS", "name": "Beans", "quantity": 2, "unit_price": eur(1250), "total": eur(2500),
    });
    let placed = json!({
        "order_id": ORDER, "customer_id": CUSTOMER, "payment_id": PAYMENT, "items": [item],
        "total": eur(2500), "payment_method": sealed(), "at": "2026-01-02T03:04:05Z",
    });
    let contract = json!({
        "order_id": ORDER, "customer_id": CUSTOMER, "payment_id": PAYMENT,
        "items": [{"sku": "BEANS", "quantity": 2}], "total": eur(2500),
        "payment_method": sealed(), "placed_at": "2026-01-02T03:04:05Z",
    });
    let announced = announced("order", "order_placed", placed).await;
    assert_eq!(announced, json!([["orders.order_placed.v1", contract]]));
}

#[tokio::test]
async fn of_an_orders_end_only_its_cancellation_is_announced() {
    let at = json!({"at": "2026-01-02T03:04:05Z"});
    let cancelled = announced("order", "order_cancelled", at.clone()).await;
    assert_eq!(
        cancelled,
        json!([["orders.order_cancelled.v1", {"order_id": ORDER}]])
    );
    assert_eq!(announced("order", "order_confirmed", at).await, json!([]));
    let rejected = json!({"reason": "OUT_OF_STOCK", "at": "2026-01-02T03:04:05Z"});
    assert_eq!(
        announced("order", "order_rejected", rejected).await,
        json!([])
    );
}

#[tokio::test]
async fn each_step_of_fulfilment_asks_for_the_next() {
    let at = "2026-01-02T03:04:05Z";
    let (order, both) = (
        json!({"order_id": ORDER}),
        json!({"order_id": ORDER, "payment_id": PAYMENT}),
    );
    let about = json!({
        "payment_id": PAYMENT, "customer_id": CUSTOMER, "amount": eur(2500),
        "payment_method": sealed(), "step_timeout": "PT60S",
    });
    let items = json!([{"sku": "BEANS", "quantity": 2}]);
    let held = json!({
        "payment_id": PAYMENT, "customer_id": CUSTOMER, "amount": eur(2500),
        "payment_method": sealed(), "due_at": at,
    });
    let authorize = json!({
        "order_id": ORDER, "payment_id": PAYMENT, "customer_id": CUSTOMER, "amount": eur(2500),
        "payment_method": sealed(),
    });
    let rows = [
        (
            "fulfilment_started",
            json!({"about": about, "items": items, "until": at, "due_at": at}),
            json!([["inventory.reserve_stock.v1", {"order_id": ORDER, "items": items, "until": at}]]),
        ),
        (
            "stock_held",
            held,
            json!([["payments.authorize_payment.v1", authorize]]),
        ),
        (
            "payment_authorized",
            json!({"due_at": at}),
            json!([["inventory.commit_stock.v1", order]]),
        ),
        (
            "stock_committed",
            json!({"payment_id": PAYMENT, "due_at": at}),
            json!([["payments.capture_payment.v1", both]]),
        ),
        (
            "payment_captured",
            Value::Null,
            json!([["orders.order_fulfilled.v1", order]]),
        ),
    ];
    for (kind, data, expected) in rows {
        assert_eq!(
            announced("fulfilment", kind, data).await,
            expected,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn undoing_is_asked_of_whom_it_concerns_and_only_a_failure_is_announced() {
    let release = json!(["inventory.release_stock.v1", {"order_id": ORDER}]);
    let cancel = json!(["payments.cancel_payment.v1", {"order_id": ORDER, "payment_id": PAYMENT}]);
    let cancelled = json!({"kind": "cancelled"});
    let timed_out = json!({"kind": "failed", "reason": "TIMED_OUT"});
    let rows = [
        (
            "compensation_started",
            json!({"stock": true, "payment": PAYMENT, "outcome": cancelled}),
            json!([release, cancel]),
        ),
        (
            "compensation_started",
            json!({"stock": true, "payment": null, "outcome": timed_out}),
            json!([release]),
        ),
        (
            "compensation_started",
            json!({"stock": false, "payment": PAYMENT, "outcome": timed_out}),
            json!([cancel]),
        ),
        ("stock_undone", Value::Null, json!([])),
        ("payment_undone", Value::Null, json!([])),
        ("fulfilment_cancelled", Value::Null, json!([])),
        (
            "fulfilment_failed",
            json!({"reason": "PAYMENT_DECLINED"}),
            json!([["orders.order_failed.v1", {"order_id": ORDER, "reason": "PAYMENT_DECLINED"}]]),
        ),
    ];
    for (kind, data, expected) in rows {
        assert_eq!(
            announced("fulfilment", kind, data).await,
            expected,
            "{kind}"
        );
    }
}
