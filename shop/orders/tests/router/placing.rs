use std::sync::atomic::Ordering;

use serde_json::json;
use stanchion::eventsourcing::{Filter, Position};

use crate::harness::{Shop, Who, eur, id, order};

#[tokio::test]
async fn an_order_is_pending_first_and_can_be_read_at_once() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let placing = shop.post(&customer, "/orders").fresh_key();
    let placed = placing.json(&order(&[("SLOW", 2), ("BEANS", 3)])).await;
    assert_eq!(placed.status, 202, "{:?}", placed.body);
    let expected = json!({
        "id": placed.data()["id"],
        "customer_id": customer.id,
        "status": "pending",
        "items": [
            {"sku": "SLOW", "name": "Something", "quantity": 2, "unit_price": eur(100), "total": eur(200)},
            {"sku": "BEANS", "name": "Coffee beans", "quantity": 3, "unit_price": eur(1250), "total": eur(3750)},
        ],
        "total": eur(3950),
        "payment_id": placed.data()["payment_id"],
        "version": 0,
        "placed_at": placed.data()["placed_at"],
    });
    assert_eq!(*placed.data(), expected);
    let location = format!("/api/v1/orders/{}", id(placed.data()));
    assert_eq!(
        (placed.header("location"), placed.header("etag")),
        (location.as_str(), "\"0\"")
    );
    assert_eq!(placed.header("preference-applied"), "");
    let read = shop.get(&customer, placed.header("location")).send().await;
    assert_eq!((read.status, read.data()), (200, placed.data()));
}

#[tokio::test]
async fn a_client_that_waits_gets_the_settled_order() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let placing = shop
        .post(&customer, "/orders")
        .fresh_key()
        .header("prefer", "wait=10");
    let settled = placing.json(&order(&[("BEANS", 1)])).await;
    assert_eq!(settled.status, 200, "{:?}", settled.body);
    assert_eq!(settled.data()["status"], "confirmed");
    assert!(settled.data()["settled_at"].is_string());
    assert_eq!(settled.header("preference-applied"), "wait=10");
    assert!(settled.header("location").ends_with(id(settled.data())));
    assert_eq!(settled.header("etag"), "\"1\"");
}

#[tokio::test]
async fn a_wait_that_is_too_short_gets_the_order_as_it_stands() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let placing = shop
        .post(&customer, "/orders")
        .fresh_key()
        .header("prefer", "wait=1");
    let placed = placing.json(&order(&[("SLOW", 1)])).await;
    assert_eq!(
        (placed.status, &placed.data()["status"]),
        (202, &json!("pending"))
    );
    assert_eq!(placed.header("preference-applied"), "wait=1");
}

#[tokio::test]
async fn a_repeat_with_the_same_key_gets_the_same_order() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let first = shop
        .post(&customer, "/orders")
        .key("once")
        .json(&order(&[("BEANS", 1)]))
        .await;
    let again = shop
        .post(&customer, "/orders")
        .key("once")
        .json(&order(&[("BEANS", 1)]))
        .await;
    assert_eq!((again.status, again.data()), (202, first.data()));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(first.header("idempotent-replayed"), "");
    let other = shop
        .post(&customer, "/orders")
        .key("once")
        .json(&order(&[("BEANS", 2)]))
        .await;
    assert_eq!(
        (other.status, other.code()),
        (422, "IDEMPOTENCY_KEY_REUSED")
    );
    let list = shop
        .get(&customer, "/orders")
        .header("consistency-token", first.token());
    assert_eq!(list.send().await.body["meta"]["total"], 1);
}

#[tokio::test]
async fn somebody_elses_key_is_another_key() {
    let shop = Shop::open().await;
    let body = order(&[("BEANS", 1)]);
    let one = shop
        .post(&Who::customer(), "/orders")
        .key("same")
        .json(&body)
        .await;
    let other = shop
        .post(&Who::customer(), "/orders")
        .key("same")
        .json(&body)
        .await;
    assert_eq!((one.status, other.status), (202, 202));
    assert_ne!(one.data()["id"], other.data()["id"]);
}

#[tokio::test]
async fn a_product_that_is_named_twice_is_one_item_with_the_sum() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let placing = shop.post(&customer, "/orders").fresh_key();
    let placed = placing
        .json(&order(&[("BEANS", 1), ("CUP", 1), ("BEANS", 2)]))
        .await;
    let items = placed.data()["items"].as_array().unwrap();
    let items: Vec<_> = items
        .iter()
        .map(|item| (&item["sku"], &item["quantity"]))
        .collect();
    assert_eq!(
        items,
        [(&json!("BEANS"), &json!(3)), (&json!("CUP"), &json!(1))]
    );
    assert_eq!(placed.data()["total"], eur(4650));
}

#[tokio::test]
async fn what_the_catalogue_does_not_sell_is_named() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let rows = [
        (
            order(&[("BEANS", 1), ("NOPE", 1), ("NADA", 1)]),
            json!({
                "items[1].sku": ["is not a product on offer"],
                "items[2].sku": ["is not a product on offer"],
            }),
        ),
        (
            order(&[("BEANS", 1), ("BEANS", 1), ("DOLLAR-MUG", 1)]),
            json!({
                "items[2].sku": ["its currency is not that of the first item"],
            }),
        ),
        (
            order(&[("BEANS", 1), ("GOLD", 2_000)]),
            json!({
                "items[1].quantity": ["the order becomes too expensive"],
            }),
        ),
    ];
    for (body, fields) in rows {
        let refused = shop
            .post(&customer, "/orders")
            .fresh_key()
            .json(&body)
            .await;
        assert_eq!(
            (refused.status, refused.code()),
            (422, "VALIDATION_FAILED"),
            "{body}"
        );
        assert_eq!(refused.body["error"]["details"]["fields"], fields);
    }
}

#[tokio::test]
async fn without_the_catalogue_there_is_no_order_and_the_key_stays_free() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let body = order(&[("BEANS", 1)]);
    shop.take_the_catalogue_out(true);
    let out = shop
        .post(&customer, "/orders")
        .key("later")
        .json(&body)
        .await;
    assert_eq!((out.status, out.code()), (503, "UNAVAILABLE"));
    assert_ne!(out.header("retry-after"), "");
    assert!(!out.body.to_string().contains("dark"), "{:?}", out.body);
    shop.take_the_catalogue_out(false);
    let placed = shop
        .post(&customer, "/orders")
        .key("later")
        .json(&body)
        .await;
    assert_eq!(placed.status, 202);
    let list = shop
        .get(&customer, "/orders")
        .header("consistency-token", placed.token());
    assert_eq!(list.send().await.body["meta"]["total"], 1);
}

#[tokio::test]
async fn an_order_for_a_customer_is_placed_by_the_customer_or_by_staff() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let path = format!("/users/{}/orders", customer.id);
    let body = order(&[("BEANS", 1)]);
    for who in [&customer, &Who::staff()] {
        let placed = shop.post(who, &path).fresh_key().json(&body).await;
        assert_eq!(placed.status, 202, "{:?}", placed.body);
        assert_eq!(placed.data()["customer_id"], json!(customer.id));
        let own = shop.get(&customer, placed.header("location")).send().await;
        assert_eq!(own.status, 200);
    }
    for who in [Who::customer(), Who::with("order:read")] {
        let refused = shop.post(&who, &path).fresh_key().json(&body).await;
        assert_eq!((refused.status, refused.code()), (404, "USER_NOT_FOUND"));
    }
}

#[tokio::test]
async fn how_an_order_is_paid_stands_sealed_in_the_log() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    shop.settled(&customer, "BEANS").await;
    let all = shop.log.read(Position::START, &Filter::all(), 100).await;
    let text = format!("{:?}", all.unwrap());
    assert!(!text.contains("pm_card_visa"), "{text}");
    let sealed = format!("\"subject\":\"{}\"", customer.id);
    assert!(text.contains("cipher") && text.contains(&sealed), "{text}");
}

#[tokio::test]
async fn without_the_customers_keys_there_is_no_order_and_orders_are_read_on() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let before = shop.settled(&customer, "BEANS").await;
    shop.vault.out.store(true, Ordering::Relaxed);
    let placing = shop.post(&customer, "/orders").key("later");
    let out = placing.json(&order(&[("BEANS", 1)])).await;
    assert_eq!((out.status, out.code()), (503, "UNAVAILABLE"));
    assert!(!out.body.to_string().contains("safe"), "{:?}", out.body);
    let path = format!("/orders/{}", id(&before));
    for path in [path.clone(), format!("{path}/history")] {
        assert_eq!(shop.get(&customer, &path).send().await.status, 200);
    }
    shop.vault.out.store(false, Ordering::Relaxed);
    let placing = shop.post(&customer, "/orders").key("later");
    assert_eq!(placing.json(&order(&[("BEANS", 1)])).await.status, 202);
}
