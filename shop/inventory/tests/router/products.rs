use reqwest::Method;
use serde_json::json;

use crate::harness::{Shop, product};

const STAFF: (&str, &str) = ("authorization", "Bearer inventory:write");

#[tokio::test]
async fn what_was_created_can_be_read_at_once() {
    let shop = Shop::open().await;
    let created = shop.create("BEANS", 5).await;
    assert_eq!(
        (created.status, created.header("location")),
        (201, "/api/v1/products/BEANS")
    );
    let read = shop.get("/products/BEANS").await;
    assert_eq!((read.status, read.data()), (200, created.data()));
    assert_eq!(read.header("etag"), created.header("etag"));
}

#[tokio::test]
async fn a_sku_is_taken_once() {
    let shop = Shop::open().await;
    shop.create("BEANS", 5).await;
    let again = shop.create("BEANS", 5).await;
    assert_eq!((again.status, again.code()), (409, "SKU_TAKEN"));
}

#[tokio::test]
async fn the_same_key_creates_one_product_and_answers_twice() {
    let shop = Shop::open().await;
    let headers = [STAFF, ("idempotency-key", "one")];
    let body = product("BEANS", 5);
    let first = shop
        .ask(Method::POST, "/products", &headers, Some(body.clone()))
        .await;
    let second = shop
        .ask(Method::POST, "/products", &headers, Some(body))
        .await;
    assert_eq!((second.status, second.data()), (201, first.data()));
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(shop.count("product_created").await, 1);
}

#[tokio::test]
async fn a_product_is_described_only_as_the_version_that_was_read() {
    let shop = Shop::open().await;
    shop.create("BEANS", 5).await;
    let price = json!({"amount": 990, "currency": "EUR"});
    let body = json!({"name": "Beans", "description": "Fresh", "price": price});
    let headers = [STAFF, ("if-match", "\"0\"")];
    let put = shop
        .ask(Method::PUT, "/products/BEANS", &headers, Some(body.clone()))
        .await;
    assert_eq!((put.status, put.header("etag")), (200, "\"1\""));
    let stale = shop
        .ask(Method::PUT, "/products/BEANS", &headers, Some(body))
        .await;
    assert_eq!((stale.status, stale.code()), (412, "PRECONDITION_FAILED"));
}

#[tokio::test]
async fn stock_moves_and_a_product_goes_only_as_the_version_that_was_read() {
    let shop = Shop::open().await;
    shop.create("BEANS", 5).await;
    let change = json!({"delta": 1, "reason": "delivery"});
    let stock = async |tags| {
        let headers = [STAFF, ("if-match", tags)];
        let body = Some(change.clone());
        shop.ask(Method::POST, "/products/BEANS/stock", &headers, body)
            .await
    };
    let delete = async |tags| {
        let headers = [STAFF, ("if-match", tags)];
        shop.ask(Method::DELETE, "/products/BEANS", &headers, None)
            .await
    };
    for other in [
        "\"7\"",
        "\"7\", \"8\"",
        "\"00\"",
        "\"made-up\"",
        "W/\"0\"",
        "\"\"",
    ] {
        for refused in [stock(other).await, delete(other).await] {
            assert_eq!(
                (refused.status, refused.code()),
                (412, "PRECONDITION_FAILED"),
                "{other}"
            );
        }
    }
    assert_eq!(stock("\"7\", \"0\"").await.header("etag"), "\"1\"");
    assert_eq!(stock("*").await.header("etag"), "\"2\"");
    assert_eq!(delete("\"2\"").await.status, 204);
    for gone in [stock("\"3\"").await, delete("*").await] {
        assert_eq!((gone.status, gone.code()), (404, "PRODUCT_NOT_FOUND"));
    }
}

#[tokio::test]
async fn a_merge_patch_changes_what_it_names() {
    let shop = Shop::open().await;
    shop.create("BEANS", 5).await;
    let patched = shop
        .staff(
            Method::PATCH,
            "/products/BEANS",
            json!({"name": "Fine beans"}),
        )
        .await;
    assert_eq!(patched.data()["name"], "Fine beans");
    assert_eq!(patched.data()["price"]["amount"], 1250);
}

#[tokio::test]
async fn stock_comes_and_goes_but_never_below_zero() {
    let shop = Shop::open().await;
    shop.create("BEANS", 5).await;
    let path = "/products/BEANS/stock";
    let more = shop
        .staff(
            Method::POST,
            path,
            json!({"delta": 5, "reason": "delivery"}),
        )
        .await;
    assert_eq!(more.data()["available"], 10);
    let less = shop
        .staff(Method::POST, path, json!({"delta": -11, "reason": "theft"}))
        .await;
    assert_eq!((less.status, less.code()), (409, "OUT_OF_STOCK"));
    assert_eq!(shop.available("BEANS").await, 10);
}

#[tokio::test]
async fn a_withdrawn_product_is_gone_and_its_sku_free() {
    let shop = Shop::open().await;
    shop.create("BEANS", 5).await;
    let gone = shop
        .ask(Method::DELETE, "/products/BEANS", &[STAFF], None)
        .await;
    assert_eq!(gone.status, 204);
    let read = shop.get("/products/BEANS").await;
    assert_eq!((read.status, read.code()), (404, "PRODUCT_NOT_FOUND"));
    assert_eq!(shop.create("BEANS", 1).await.status, 201);
}

#[tokio::test]
async fn only_whoever_may_write_inventory_writes_it() {
    let shop = Shop::open().await;
    let body = Some(product("BEANS", 5));
    let nobody = shop.ask(Method::POST, "/products", &[], body.clone()).await;
    assert_eq!((nobody.status, nobody.code()), (401, "UNAUTHENTICATED"));
    let reader = [("authorization", "Bearer inventory:read")];
    let reader = shop.ask(Method::POST, "/products", &reader, body).await;
    assert_eq!((reader.status, reader.code()), (403, "FORBIDDEN"));
}

#[tokio::test]
async fn a_list_includes_the_write_whose_token_it_brings() {
    let shop = Shop::open().await;
    for round in 0..20 {
        let created = shop.create(&format!("SKU-{round}"), 1).await;
        let token = created.body["meta"]["consistency_token"].as_str().unwrap();
        let path = format!("/products?q=SKU-{round}&limit=100");
        let headers = [("consistency-token", token)];
        let listed = shop.ask(Method::GET, &path, &headers, None).await;
        let skus = listed.data().as_array().unwrap();
        assert!(
            skus.iter().any(|row| row["sku"] == format!("SKU-{round}")),
            "round {round}"
        );
    }
}

#[tokio::test]
async fn a_cursor_walks_the_whole_list_once() {
    let shop = Shop::open().await;
    let mut token = String::new();
    for number in 0..25 {
        let created = shop.create(&format!("SKU-{number:02}"), number % 2).await;
        token = created.body["meta"]["consistency_token"]
            .as_str()
            .unwrap()
            .to_owned();
    }
    for sort in [
        "sort=name",
        "sort=price",
        "sort=created_at",
        "in_stock=true&sort=name",
    ] {
        let mut path = format!("/products?limit=7&{sort}");
        let mut seen = Vec::new();
        loop {
            let headers = [("consistency-token", token.as_str())];
            let page = shop.ask(Method::GET, &path, &headers, None).await;
            assert_eq!(page.status, 200, "{:?}", page.body);
            let rows = page.data().as_array().unwrap().iter();
            seen.extend(rows.map(|row| row["sku"].as_str().unwrap().to_owned()));
            match page.body["meta"]["next_cursor"].as_str() {
                Some(cursor) => path = format!("/products?cursor={cursor}&limit=7&{sort}"),
                None => break,
            }
        }
        let wanted = if sort.contains("in_stock") { 12 } else { 25 };
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), distinct.len()), (wanted, wanted), "{sort}");
    }
}

#[tokio::test]
async fn a_search_finds_part_of_a_name_in_any_case_and_takes_wildcards_for_text() {
    let shop = Shop::open().await;
    let created = shop.create("BEANS", 5).await;
    let token = created.body["meta"]["consistency_token"].as_str().unwrap();
    for (query, found) in [("bEaN", 1), ("%", 0), ("_", 0), ("tea", 0)] {
        let path = format!("/products?q={}", query.replace('%', "%25"));
        let headers = [("consistency-token", token)];
        let listed = shop.ask(Method::GET, &path, &headers, None).await;
        assert_eq!(listed.data().as_array().unwrap().len(), found, "{query}");
    }
}
