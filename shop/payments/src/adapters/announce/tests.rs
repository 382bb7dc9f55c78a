//! What old entries are announced as: a row that changes here breaks another context.

use jiff::Timestamp;
use serde_json::{Value, json};
use stanchion::eventsourcing::{Append, EventLog, Expected, MemoryLog, NewEvent};
use stanchion::eventsourcing::{Position, Recorded, Relay, StreamId, Version};
use stanchion::messaging::{Feed, Metadata, Place};

use super::*;

const ORDER: &str = "0190b5a0-0000-7000-8000-000000000001";
const CUSTOMER: &str = "0190b5a0-0000-7000-8000-000000000002";
const PAYMENT: &str = "0190b5a0-0000-7000-8000-000000000003";
const REFUND: &str = "0190b5a0-0000-7000-8000-000000000004";

/// An entry as the log keeps it, announced: the contract, its key and its payload; null for none.
async fn announced(kind: &str, mut data: Value) -> Value {
    data["at"] = "2026-01-02T03:04:05Z".into();
    let log = std::sync::Arc::new(MemoryLog::new());
    let event = NewEvent {
        id: stanchion::runtime::id::new_v7(),
        kind: kind.into(),
        data: data.into(),
    };
    let append = Append {
        stream: StreamId::new("payment", PAYMENT),
        expected: Expected::NoStream,
        events: vec![event],
        inbox: None,
        timers: vec![],
        metadata: Metadata::new(None),
    };
    log.append(append).await.unwrap();
    let page = Relay::new("payments", log, announce)
        .read(Place::START, 10)
        .await;
    let messages = page.unwrap().messages;
    assert!(messages.len() <= 1);
    messages.into_iter().next().map_or(Value::Null, |message| {
        json!([message.contract, message.key, message.payload])
    })
}

fn eur(amount: i64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

fn entries(to: &str, from: &str, amount: i64) -> Value {
    json!([
        {"account": to, "amount": amount, "currency": "EUR"},
        {"account": from, "amount": -amount, "currency": "EUR"},
    ])
}

#[tokio::test]
async fn orders_is_answered_by_order() {
    let of_order = json!({"order_id": ORDER, "payment_id": PAYMENT});
    let mut declined = of_order.clone();
    declined["code"] = "card_declined".into();
    let taken =
        json!({"order_id": ORDER, "amount": eur(5), "entries": entries("gateway", "sales", 5)});
    for (kind, data, contract, payload) in [
        (
            "authorized",
            json!({"order_id": ORDER, "intent": "pi_1"}),
            "payment_authorized",
            &of_order,
        ),
        (
            "declined",
            json!({"order_id": ORDER, "code": "card_declined"}),
            "payment_declined",
            &declined,
        ),
        ("captured", taken, "payment_captured", &of_order),
        (
            "capture_confirmed",
            json!({"order_id": ORDER}),
            "payment_captured",
            &of_order,
        ),
        (
            "cancelled",
            json!({"order_id": ORDER}),
            "payment_cancelled",
            &of_order,
        ),
    ] {
        let expected = json!([format!("payments.{contract}.v1"), ORDER, payload]);
        assert_eq!(announced(kind, data).await, expected, "{kind}");
    }
}

#[tokio::test]
async fn the_gateway_is_asked_by_payment() {
    let sealed = json!({"subject": CUSTOMER, "cipher": "AQ"});
    let requested = json!({
        "payment_id": PAYMENT, "order_id": ORDER, "customer_id": CUSTOMER, "amount": eur(5),
        "payment_method": sealed,
    });
    let wanted = json!({
        "payment_id": PAYMENT, "order_id": ORDER, "amount": eur(5), "payment_method": sealed,
    });
    let capture = json!({"intent": "pi_1", "amount": eur(5)});
    let void = json!({"intent": "pi_1"});
    let refund = json!({"refund_id": REFUND, "intent": "pi_1", "amount": eur(5)});
    let of_payment = |mut payload: Value| {
        payload["payment_id"] = PAYMENT.into();
        payload
    };
    for (kind, data, contract, payload) in [
        (
            "requested",
            requested,
            "gateway_authorization_requested",
            wanted,
        ),
        (
            "capture_requested",
            capture.clone(),
            "gateway_capture_requested",
            of_payment(capture),
        ),
        (
            "void_requested",
            void.clone(),
            "gateway_void_requested",
            of_payment(void),
        ),
        (
            "refund_requested",
            refund.clone(),
            "gateway_refund_requested",
            of_payment(refund),
        ),
    ] {
        let expected = json!([format!("payments.{contract}.v1"), PAYMENT, payload]);
        assert_eq!(announced(kind, data).await, expected, "{kind}");
    }
}

#[tokio::test]
async fn the_rest_stays_within() {
    let refunded =
        json!({"refund_id": REFUND, "amount": eur(5), "entries": entries("sales", "gateway", 5)});
    for (kind, data) in [
        ("capture_failed", json!({"code": "expired_card"})),
        ("cancel_requested", json!({})),
        ("voided", json!({})),
        ("refunded", refunded),
        (
            "refund_failed",
            json!({"refund_id": REFUND, "code": "declined", "retry_at": null}),
        ),
    ] {
        assert_eq!(announced(kind, data).await, Value::Null, "{kind}");
    }
}

#[test]
fn an_entry_that_is_not_known_stops_the_relay() {
    let recorded = Recorded {
        position: Position(1),
        stream: StreamId::new("payment", PAYMENT),
        version: Version(0),
        id: stanchion::runtime::id::new_v7(),
        kind: "gone".into(),
        data: json!({}).into(),
        metadata: Metadata::new(None),
        at: Timestamp::UNIX_EPOCH,
    };
    assert!(announce(&recorded).is_err());
}
