use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Shop;

#[tokio::test]
async fn bad_input_is_told_what_is_wrong_and_changes_nothing() {
    let shop = Shop::open().await;
    shop.create("BEANS", 5).await;
    let before = shop.count("product_created").await;
    let price = json!({"amount": 1250, "currency": "EUR"});
    let cases: [(&str, Value, u16, &str); 9] = [
        (
            "/products",
            json!({"sku": "X", "name": "X"}),
            422,
            "VALIDATION_FAILED",
        ),
        (
            "/products",
            json!({"sku": "no spaces", "name": "X", "price": price}),
            422,
            "VALIDATION_FAILED",
        ),
        (
            "/products",
            json!({"sku": "X", "name": "", "price": price}),
            422,
            "VALIDATION_FAILED",
        ),
        (
            "/products",
            json!({"sku": "X", "name": "X", "price": {"amount": -1, "currency": "EUR"}}),
            422,
            "VALIDATION_FAILED",
        ),
        (
            "/products",
            json!({"sku": "X", "name": "X", "price": {"amount": 1, "currency": "eur"}}),
            422,
            "VALIDATION_FAILED",
        ),
        (
            "/products",
            json!({"sku": "X", "name": "X", "price": price, "version": 7}),
            400,
            "UNKNOWN_FIELD",
        ),
        (
            "/products",
            json!({"sku": "X", "name": "X", "price": {"amount": 1.5, "currency": "EUR"}}),
            422,
            "VALIDATION_FAILED",
        ),
        (
            "/products/BEANS/stock",
            json!({"delta": 0, "reason": "none"}),
            422,
            "VALIDATION_FAILED",
        ),
        (
            "/products/BEANS/stock",
            json!({"delta": 9_223_372_036_854_775_807i64, "reason": "much"}),
            422,
            "VALIDATION_FAILED",
        ),
    ];
    for (path, body, status, code) in cases {
        let answered = shop.staff(Method::POST, path, body.clone()).await;
        assert_eq!((answered.status, answered.code()), (status, code), "{body}");
    }
    assert_eq!(shop.count("product_created").await, before);
    assert_eq!(shop.available("BEANS").await, 5);
}

#[tokio::test]
async fn a_list_takes_only_what_it_knows() {
    let shop = Shop::open().await;
    let cases = [
        ("/products?limit=0", "INVALID_PARAMETER"),
        ("/products?limit=101", "INVALID_PARAMETER"),
        ("/products?sort=secret", "INVALID_PARAMETER"),
        ("/products?colour=red", "INVALID_PARAMETER"),
        ("/products?page=1000&limit=100", "INVALID_PARAMETER"),
        ("/products?cursor=tampered", "INVALID_CURSOR"),
    ];
    for (path, code) in cases {
        let answered = shop.get(path).await;
        assert_eq!((answered.status, answered.code()), (400, code), "{path}");
    }
}

/// What the document leaves out, a client learns by a 422 only.
#[tokio::test]
async fn the_document_tells_the_limits() {
    let shop = Shop::open().await;
    let document = shop.get("/../../openapi.json").await.body;
    let schemas = &document["components"]["schemas"];
    let amount = &schemas["Price"]["properties"]["amount"];
    assert_eq!(
        (&amount["minimum"], &amount["maximum"]),
        (&json!(0), &json!(1_000_000_000_000_i64))
    );
    let delta = &schemas["StockChange"]["properties"]["delta"]["oneOf"];
    assert_eq!(
        (&delta[0]["minimum"], &delta[1]["maximum"]),
        (&json!(1), &json!(-1))
    );
    assert_eq!(
        schemas["ProductBody"]["properties"]["price"]["$ref"],
        "#/components/schemas/Price"
    );
}
