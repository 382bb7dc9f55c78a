use crate::harness::{Shop, Who, id};

#[tokio::test]
async fn an_order_is_seen_by_its_customer_and_by_whoever_reads_all() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.placed(&customer, "SLOW").await;
    let path = format!("/orders/{}", id(&order));
    for who in [&customer, &Who::with("order:read"), &Who::with("admin:*")] {
        let read = shop.get(who, &path).send().await;
        assert_eq!((read.status, read.data()), (200, &order));
        assert_eq!(read.header("cache-control"), "no-store");
    }
    for who in [Who::customer(), Who::with("order:write")] {
        for path in [
            path.clone(),
            format!("{path}/history"),
            format!("{path}/watch"),
        ] {
            let hidden = shop.get(&who, &path).send().await;
            assert_eq!(
                (hidden.status, hidden.code()),
                (404, "ORDER_NOT_FOUND"),
                "{path}"
            );
            assert_eq!(hidden.body["error"]["details"]["order_id"], order["id"]);
        }
    }
}

#[tokio::test]
async fn what_does_not_exist_looks_like_what_is_somebody_elses() {
    let shop = Shop::open().await;
    let path = format!("/orders/{}", stanchion::runtime::id::new_v7());
    let missing = shop.get(&Who::staff(), &path).send().await;
    assert_eq!((missing.status, missing.code()), (404, "ORDER_NOT_FOUND"));
}

#[tokio::test]
async fn whoever_has_the_version_gets_304() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.settled(&customer, "BEANS").await;
    let path = format!("/orders/{}", id(&order));
    let same = shop
        .get(&customer, &path)
        .header("if-none-match", "\"1\"")
        .send()
        .await;
    assert_eq!((same.status, same.header("etag")), (304, "\"1\""));
    let older = shop
        .get(&customer, &path)
        .header("if-none-match", "\"0\"")
        .send()
        .await;
    assert_eq!(older.status, 200);
}

#[tokio::test]
async fn the_document_knows_every_operation() {
    let shop = Shop::open().await;
    let document = shop.root("/openapi.json").send().await.body;
    let expected = [
        ("/api/v1/orders", "post"),
        ("/api/v1/orders", "get"),
        ("/api/v1/orders/{id}", "get"),
        ("/api/v1/orders/{id}/cancel", "post"),
        ("/api/v1/orders/{id}/history", "get"),
        ("/api/v1/orders/{id}/watch", "get"),
        ("/api/v1/users/{id}/orders", "post"),
        ("/api/v1/users/{id}/orders", "get"),
    ];
    for (path, method) in expected {
        assert!(
            document["paths"][path][method].is_object(),
            "{method} {path}"
        );
    }
    let responses = &document["paths"]["/api/v1/orders"]["post"]["responses"];
    for status in ["200", "202", "400", "401", "422", "503"] {
        assert!(responses[status].is_object(), "{status}: {responses}");
    }
}
