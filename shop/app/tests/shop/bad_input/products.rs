//! Products, prices and deliveries that cannot be.

use serde_json::{Value, json};

use super::cases::{Case, Who};

pub(super) fn rows() -> Vec<Case> {
    let mut rows = prices();
    rows.extend(names());
    rows.extend(deliveries());
    rows.extend(changes());
    rows.into_iter().map(|case| case.by(Who::Admin)).collect()
}

fn product(field: &str, value: Value) -> Value {
    let mut body = json!({
        "sku": "NEW-THING", "name": "New", "description": "Not there yet.",
        "price": {"amount": 100, "currency": "EUR"},
    });
    body[field] = value;
    body
}

fn prices() -> Vec<Case> {
    let amounts = [
        "-1",
        "12.5",
        "\"100\"",
        "null",
        "1e30",
        "9223372036854775808",
        "99999999999999999999",
    ];
    let mut rows: Vec<_> = amounts
        .into_iter()
        .map(|amount| {
            let body = product("price", json!({"amount": "A", "currency": "EUR"}));
            let body = body.to_string().replace("\"A\"", amount);
            Case::post(&format!("a price of {amount}"), "/products", body)
                .is(422, "VALIDATION_FAILED")
        })
        .collect();
    for currency in ["eur", "EURO", "€", "", "E R"] {
        let body = product("price", json!({"amount": 1, "currency": currency})).to_string();
        let name = format!("a currency {currency:?}");
        rows.push(Case::post(&name, "/products", body).is(422, "VALIDATION_FAILED"));
    }
    let body = product(
        "price",
        json!({"amount": 1, "currency": "EUR", "cents": true}),
    )
    .to_string();
    rows.push(Case::post("a price with more to it", "/products", body).is(400, "UNKNOWN_FIELD"));
    rows.push(
        Case::post(
            "a price that is a number",
            "/products",
            product("price", json!(5)).to_string(),
        )
        .is(422, "VALIDATION_FAILED"),
    );
    rows
}

fn names() -> Vec<Case> {
    let invalid = |what: &str, field: &str, value: Value| {
        Case::post(what, "/products", product(field, value).to_string())
            .is(422, "VALIDATION_FAILED")
    };
    vec![
        invalid("a SKU with a slash", "sku", json!("A/B")),
        invalid("a SKU of 65 letters", "sku", json!("A".repeat(65))),
        invalid("a SKU that is a folder", "sku", json!("..")),
        invalid("no name", "name", json!("")),
        invalid("a name of blanks", "name", json!("   ")),
        invalid(
            "a name of 100,000 letters",
            "name",
            json!("n".repeat(100_000)),
        ),
        invalid("a name with a zero byte", "name", json!("a\u{0}b")),
        invalid("a name that is a list", "name", json!(["a"])),
        Case::post(
            "a SKU that is taken",
            "/products",
            product("sku", json!("KETTLE")).to_string(),
        )
        .is(409, ""),
        Case::post(
            "a product that brings its version",
            "/products",
            product("version", json!(9)).to_string(),
        )
        .is(400, "UNKNOWN_FIELD"),
        Case::post(
            "a product that brings its time",
            "/products",
            product("created_at", json!("2020-01-01T00:00:00Z")).to_string(),
        )
        .is(400, "UNKNOWN_FIELD"),
    ]
}

fn deliveries() -> Vec<Case> {
    let deltas = [
        "1.5",
        "\"5\"",
        "null",
        "9223372036854775808",
        "-9223372036854775809",
        "1e20",
    ];
    let mut rows: Vec<_> = deltas
        .into_iter()
        .map(|delta| {
            let body = format!("{{\"delta\": {delta}, \"reason\": \"delivery\"}}");
            let name = format!("a delivery of {delta}");
            Case::post(&name, "/products/KETTLE/stock", body).is(422, "VALIDATION_FAILED")
        })
        .collect();
    let nothing = json!({"delta": 5, "reason": "delivery"}).to_string();
    rows.push(
        Case::post(
            "a delivery of what there is not",
            "/products/NO-SUCH-THING/stock",
            nothing.clone(),
        )
        .is(404, "PRODUCT_NOT_FOUND"),
    );
    rows.push(
        Case::post(
            "a delivery to a SKU that climbs folders",
            "/products/..%2F..%2Fkettle/stock",
            nothing,
        )
        .is(400, "INVALID_PARAMETER"),
    );
    rows.push(
        Case::post(
            "a delivery without a reason",
            "/products/KETTLE/stock",
            "{\"delta\": 5}",
        )
        .is(422, "VALIDATION_FAILED"),
    );
    rows
}

fn changes() -> Vec<Case> {
    let whole = json!({"name": "K", "description": "", "price": {"amount": 1, "currency": "EUR"}});
    let stale = |case: Case| {
        case.with("if-match", "\"4711\"")
            .is(412, "PRECONDITION_FAILED")
    };
    vec![
        Case::patch(
            "a patch that sets the stock",
            "/products/KETTLE",
            &json!({"available": 1_000}),
        )
        .is(400, "UNKNOWN_FIELD"),
        Case::patch(
            "a patch that removes the price",
            "/products/KETTLE",
            &json!({"price": null}),
        )
        .is(422, "VALIDATION_FAILED"),
        Case::patch(
            "a patch that is a list",
            "/products/KETTLE",
            &json!([{"op": "remove", "path": "/price"}]),
        )
        .is(422, "VALIDATION_FAILED"),
        stale(Case::patch(
            "a patch of an older version",
            "/products/KETTLE",
            &json!({"name": "Old"}),
        )),
        stale(Case::put(
            "a product written over an older version",
            "/products/KETTLE",
            &whole,
        )),
        stale(Case::new(
            "a product deleted at an older version",
            reqwest::Method::DELETE,
            "/products/KETTLE",
        )),
        Case::patch(
            "a tag without quotes",
            "/products/KETTLE",
            &json!({"name": "Old"}),
        )
        .with("if-match", "4711")
        .is(400, "INVALID_PARAMETER"),
        Case::patch(
            "a patch of what there is not",
            "/products/NO-SUCH-THING",
            &json!({"name": "X"}),
        )
        .is(404, "PRODUCT_NOT_FOUND"),
    ]
}
