//! Orders that cannot be, refunds that must not be.

use serde_json::{Value, json};

use super::cases::{Case, Who};

pub(super) fn rows() -> Vec<Case> {
    let mut rows = vec![];
    rows.extend(quantities());
    rows.extend(fields());
    rows.extend(keys());
    rows.extend(refunds());
    rows
}

fn order(items: Value) -> String {
    json!({"items": items, "payment_method": "pm_card_visa"}).to_string()
}

fn quantities() -> Vec<Case> {
    let quantities = [
        "0",
        "-1",
        "1000001",
        "1.5",
        "\"1\"",
        "null",
        "true",
        "[1]",
        "1e-3",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "1e308",
        "99999999999999999999999999999999",
    ];
    let case = |quantity: &str| {
        let body = order(json!([{"sku": "MUG-BLUE", "quantity": "Q"}])).replace("\"Q\"", quantity);
        Case::post(&format!("a quantity of {quantity}"), "/orders", body)
            .is(422, "VALIDATION_FAILED")
    };
    quantities.into_iter().map(case).collect()
}

fn fields() -> Vec<Case> {
    let one = || json!([{"sku": "MUG-BLUE", "quantity": 1}]);
    let invalid =
        |name: &str, body: String| Case::post(name, "/orders", body).is(422, "VALIDATION_FAILED");
    let unknown = |name: &str, body: Value| {
        Case::post(name, "/orders", body.to_string()).is(400, "UNKNOWN_FIELD")
    };
    let many: Vec<_> = (0..101)
        .map(|n| json!({"sku": format!("SKU-{n}"), "quantity": 1}))
        .collect();
    let with = |field: &str, value: Value| {
        let mut body = json!({"items": one(), "payment_method": "pm_card_visa"});
        body[field] = value;
        body
    };
    let mut rows = vec![
        invalid("no items", order(json!([]))),
        invalid("101 items", order(json!(many))),
        invalid(
            "an unknown product",
            order(json!([{"sku": "NO-SUCH-THING", "quantity": 1}])),
        ),
        invalid(
            "a product that climbs folders",
            order(json!([{"sku": "../../etc/passwd", "quantity": 1}])),
        ),
        invalid(
            "a product that is SQL",
            order(json!([{"sku": "' or 1=1; drop table event; --", "quantity": 1}])),
        ),
        invalid(
            "a product without a name",
            order(json!([{"sku": "", "quantity": 1}])),
        ),
        invalid(
            "a product of 10,000 letters",
            order(json!([{"sku": "A".repeat(10_000), "quantity": 1}])),
        ),
        invalid(
            "a product of another script",
            order(json!([{"sku": "МUG-BLUE", "quantity": 1}])),
        ),
        invalid("items that are no list", order(json!({"sku": "MUG-BLUE"}))),
        invalid("an item that is no object", order(json!(["MUG-BLUE"]))),
        invalid(
            "an item without quantity",
            order(json!([{"sku": "MUG-BLUE"}])),
        ),
        invalid("no payment method", json!({"items": one()}).to_string()),
        invalid(
            "an empty payment method",
            with("payment_method", json!("")).to_string(),
        ),
        invalid(
            "a payment method that is a number",
            with("payment_method", json!(4242)).to_string(),
        ),
        invalid(
            "a payment method of 10,000 letters",
            with("payment_method", json!("p".repeat(10_000))).to_string(),
        ),
        unknown(
            "an item with a price",
            json!({"items": [{"sku": "MUG-BLUE", "quantity": 1, "unit_price": {"amount": 1, "currency": "EUR"}}], "payment_method": "pm_card_visa"}),
        ),
    ];
    for (field, value) in [
        ("total", json!({"amount": 1, "currency": "EUR"})),
        ("customer_id", json!("{nobody}")),
        ("status", json!("confirmed")),
        ("id", json!("{nobody}")),
        ("version", json!(7)),
        ("payment_id", json!("{payment}")),
    ] {
        rows.push(unknown(
            &format!("an order that brings its {field}"),
            with(field, value),
        ));
    }
    rows
}

fn keys() -> Vec<Case> {
    let good = || order(json!([{"sku": "MUG-BLUE", "quantity": 1}]));
    let key =
        |name: &str, key: &str| Case::post(name, "/orders", good()).with("idempotency-key", key);
    let reused = order(json!([{"sku": "MUG-BLUE", "quantity": 2}]));
    let elsewhere = Case::post(
        "a key of an order for a cancellation of nothing",
        "/orders/{nobody}/cancel",
        "{}",
    );
    vec![
        Case::post("no key", "/orders", good())
            .without("idempotency-key")
            .is(400, "IDEMPOTENCY_KEY_REQUIRED"),
        key("a key of 256 letters", &"k".repeat(256)).is(400, "INVALID_PARAMETER"),
        key("a key with a tab in it", "a\tb").is(400, "INVALID_PARAMETER"),
        Case::post("a key beyond ASCII", "/orders", good())
            .with_bytes("idempotency-key", b"k\xe9y")
            .is(400, "INVALID_PARAMETER"),
        Case::post("a used key with another body", "/orders", reused)
            .with("idempotency-key", "used")
            .is(422, "IDEMPOTENCY_KEY_REUSED"),
        elsewhere
            .with("idempotency-key", "used")
            .without("content-type")
            .is(404, "ORDER_NOT_FOUND"),
    ]
}

fn refunds() -> Vec<Case> {
    let path = "/payments/{payment}/refunds";
    let amounts = ["0", "-1", "1.5", "\"5\"", "9223372036854775808", "{}"];
    let mut rows: Vec<_> = amounts
        .into_iter()
        .map(|amount| {
            let body = format!("{{\"amount\": {amount}}}");
            let case = Case::post(&format!("a refund of {amount}"), path, body);
            case.by(Who::Admin).is(422, "VALIDATION_FAILED")
        })
        .collect();
    rows.push(
        Case::post(
            "a refund in another currency",
            path,
            "{\"amount\": 1, \"currency\": \"USD\"}",
        )
        .by(Who::Admin)
        .is(400, "UNKNOWN_FIELD"),
    );
    rows.push(
        Case::post(
            "a refund of nobody's payment",
            "/payments/{nobody}/refunds",
            "{\"amount\": 1}",
        )
        .by(Who::Admin)
        .is(404, "PAYMENT_NOT_FOUND"),
    );
    rows.push(Case::post("a refund by its customer", path, "{\"amount\": 1}").is(403, "FORBIDDEN"));
    rows
}
