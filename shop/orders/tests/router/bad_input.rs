use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Shop, Who, id, order};

fn with(field: &str, value: Value) -> Value {
    let mut body = order(&[("BEANS", 1)]);
    body[field] = value;
    body
}

fn item(item: Value) -> Value {
    with("items", json!([item]))
}

#[tokio::test]
async fn a_body_that_breaks_a_rule_names_the_field() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let hundred_and_one: Vec<Value> = (0..101)
        .map(|n| json!({"sku": format!("S{n}"), "quantity": 1}))
        .collect();
    let rows = [
        (json!([]), 422, "(body)"),
        (json!({}), 422, "items"),
        (
            json!({"items": [{"sku": "BEANS", "quantity": 1}]}),
            422,
            "payment_method",
        ),
        (with("items", json!([])), 422, "items"),
        (with("items", json!(hundred_and_one)), 422, "items"),
        (with("items", json!("BEANS")), 422, "items"),
        (with("items", Value::Null), 422, "items"),
        (item(json!({"sku": "BEANS"})), 422, "items[0].quantity"),
        (
            item(json!({"sku": "BEANS", "quantity": 0})),
            422,
            "items[0].quantity",
        ),
        (
            item(json!({"sku": "BEANS", "quantity": -1})),
            422,
            "items[0].quantity",
        ),
        (
            item(json!({"sku": "BEANS", "quantity": 1_000_001})),
            422,
            "items[0].quantity",
        ),
        (
            item(json!({"sku": "BEANS", "quantity": 1.5})),
            422,
            "items[0].quantity",
        ),
        (
            item(json!({"sku": "BEANS", "quantity": "1"})),
            422,
            "items[0].quantity",
        ),
        (
            item(json!({"sku": "BEANS", "quantity": 1e300})),
            422,
            "items[0].quantity",
        ),
        (item(json!({"sku": "", "quantity": 1})), 422, "items[0].sku"),
        (
            item(json!({"sku": "a b", "quantity": 1})),
            422,
            "items[0].sku",
        ),
        (
            item(json!({"sku": "'; drop table order_summaries --", "quantity": 1})),
            422,
            "items[0].sku",
        ),
        (
            item(json!({"sku": "x".repeat(65), "quantity": 1})),
            422,
            "items[0].sku",
        ),
        (item(json!({"sku": 7, "quantity": 1})), 422, "items[0].sku"),
        (with("payment_method", json!("")), 422, "payment_method"),
        (
            with("payment_method", json!("pm card")),
            422,
            "payment_method",
        ),
        (
            with("payment_method", json!("x".repeat(101))),
            422,
            "payment_method",
        ),
        (with("payment_method", json!(1)), 422, "payment_method"),
    ];
    for (body, status, field) in rows {
        let refused = shop
            .post(&customer, "/orders")
            .fresh_key()
            .json(&body)
            .await;
        assert_eq!(
            (refused.status, refused.code()),
            (status, "VALIDATION_FAILED"),
            "{body}"
        );
        let fields = &refused.body["error"]["details"]["fields"];
        assert!(fields[field].is_array(), "{body}: {fields}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_400_or_415() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let unknown = with("discount", json!(100)).to_string();
    let priced = item(json!({"sku": "BEANS", "quantity": 1, "unit_price": 1})).to_string();
    let rows = [
        ("application/json", "", 400, "MALFORMED_JSON"),
        ("application/json", "{", 400, "MALFORMED_JSON"),
        (
            "application/json",
            "{\"items\": [], \"items\": []}",
            400,
            "MALFORMED_JSON",
        ),
        ("application/json", unknown.as_str(), 400, "UNKNOWN_FIELD"),
        ("application/json", priced.as_str(), 400, "UNKNOWN_FIELD"),
        (
            "text/plain",
            unknown.as_str(),
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
    ];
    for (content_type, body, status, code) in rows {
        let asked = shop
            .post(&customer, "/orders")
            .fresh_key()
            .header("content-type", content_type);
        let refused = asked.text(body).await;
        assert_eq!((refused.status, refused.code()), (status, code), "{body}");
    }
}

#[tokio::test]
async fn an_order_needs_an_idempotency_key_that_can_be_printed() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let body = order(&[("BEANS", 1)]);
    for path in [
        "/orders".to_owned(),
        format!("/users/{}/orders", customer.id),
    ] {
        let none = shop.post(&customer, &path).json(&body).await;
        assert_eq!(
            (none.status, none.code()),
            (400, "IDEMPOTENCY_KEY_REQUIRED")
        );
        let long = shop
            .post(&customer, &path)
            .key(&"k".repeat(256))
            .json(&body)
            .await;
        assert_eq!((long.status, long.code()), (400, "INVALID_PARAMETER"));
    }
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let rows = [
        ("/orders?page=0", "page"),
        ("/orders?limit=101", "limit"),
        ("/orders?limit=0", "limit"),
        ("/orders?sort=customer_id", "sort"),
        ("/orders?order=up", "order"),
        ("/orders?status=lost", "status"),
        ("/orders?placed_after=yesterday", "placed_after"),
        (
            "/orders?placed_before=2026-13-01T00:00:00Z",
            "placed_before",
        ),
        ("/orders?colour=red", "colour"),
        ("/orders?page=101&limit=100", "page"),
        ("/orders/7", "id"),
        ("/orders/7/history", "id"),
        ("/orders/7/watch", "id"),
        ("/users/me/orders", "id"),
    ];
    for (path, parameter) in rows {
        let refused = shop.get(&customer, path).send().await;
        assert_eq!(
            (refused.status, refused.code()),
            (400, "INVALID_PARAMETER"),
            "{path}"
        );
        assert_eq!(
            refused.body["error"]["details"]["parameter"], parameter,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_last_event_that_never_was_is_refused() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let placed = shop.placed(&customer, "SLOW").await;
    let path = format!("/orders/{}/watch", id(&placed));
    for last in ["x", "-1", "1.5", "99999999999999999999"] {
        let refused = shop
            .get(&customer, &path)
            .header("last-event-id", last)
            .send()
            .await;
        assert_eq!(
            (refused.status, refused.code()),
            (400, "INVALID_PARAMETER"),
            "{last}"
        );
    }
}

#[tokio::test]
async fn nobody_gets_in_without_a_token() {
    let shop = Shop::open().await;
    let path = format!("/orders/{}", stanchion::runtime::id::new_v7());
    let rows = [
        (Method::POST, "/orders".to_owned()),
        (Method::GET, "/orders".to_owned()),
        (Method::GET, path.clone()),
        (Method::POST, format!("{path}/cancel")),
        (Method::GET, format!("{path}/history")),
        (Method::GET, format!("{path}/watch")),
        (
            Method::POST,
            format!("/users/{}/orders", stanchion::runtime::id::new_v7()),
        ),
        (
            Method::GET,
            format!("/users/{}/orders", stanchion::runtime::id::new_v7()),
        ),
    ];
    for (method, path) in rows {
        let refused = shop.ask(method, &Who::nobody(), &path).send().await;
        assert_eq!(
            (refused.status, refused.code()),
            (401, "UNAUTHENTICATED"),
            "{path}"
        );
        assert_ne!(refused.header("www-authenticate"), "");
    }
}

#[tokio::test]
async fn a_service_that_acts_for_nobody_has_no_orders() {
    let (shop, service) = (Shop::open().await, Who::service());
    let placing = shop.post(&service, "/orders").fresh_key();
    let placing = placing.json(&order(&[("BEANS", 1)])).await;
    let listing = shop.get(&service, "/orders").send().await;
    for refused in [placing, listing] {
        assert_eq!((refused.status, refused.code()), (403, "FORBIDDEN"));
    }
}
