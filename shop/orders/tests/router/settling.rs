use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Shop, Who, id, order};
use crate::stand_in::{Holdings, Side};

async fn settled(shop: &Shop, who: &Who, sku: &str, payment_method: &str) -> Value {
    let mut body = order(&[(sku, 1)]);
    body["payment_method"] = payment_method.into();
    let placing = shop
        .post(who, "/orders")
        .fresh_key()
        .header("prefer", "wait=10");
    let settled = placing.json(&body).await;
    assert_eq!(settled.status, 200, "{:?}", settled.body);
    settled.data().clone()
}

#[tokio::test]
async fn a_confirmed_order_has_its_stock_and_its_money() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.settled(&customer, "BEANS").await;
    assert_eq!(
        (&order["status"], &order["reason"]),
        (&json!("confirmed"), &Value::Null)
    );
    let held = shop.stand_in.holdings(id(&order)).await;
    assert_eq!(
        held,
        Holdings {
            stock: Side::Taken,
            payment: Side::Taken
        }
    );
}

#[tokio::test]
async fn a_rejected_order_says_why_and_holds_nothing() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let rows = [
        ("SCARCE", "pm_card_visa", "OUT_OF_STOCK", Side::Nothing),
        ("GONE", "pm_card_visa", "UNKNOWN_PRODUCT", Side::Nothing),
        (
            "BEANS",
            "pm_card_chargeDeclined",
            "PAYMENT_DECLINED",
            Side::Returned,
        ),
    ];
    for (sku, payment_method, reason, stock) in rows {
        let order = settled(&shop, &customer, sku, payment_method).await;
        assert_eq!(
            (&order["status"], &order["reason"]),
            (&json!("rejected"), &json!(reason))
        );
        let has_payment = order.get("payment_id").is_some();
        assert_eq!(has_payment, reason == "PAYMENT_DECLINED", "{order}");
        let held = shop.stand_in.holdings(id(&order)).await;
        assert_eq!(
            held,
            Holdings {
                stock,
                payment: Side::Nothing
            }
        );
    }
}

#[tokio::test]
async fn an_order_whose_step_takes_too_long_is_rejected_and_undone() {
    let shop = Shop::with_step_timeout(Duration::from_millis(300)).await;
    let order = settled(&shop, &Who::customer(), "SLOW", "pm_card_visa").await;
    assert_eq!(
        (&order["status"], &order["reason"]),
        (&json!("rejected"), &json!("TIMED_OUT"))
    );
    let held = shop.stand_in.holdings(id(&order)).await;
    assert_eq!(
        held,
        Holdings {
            stock: Side::Returned,
            payment: Side::Nothing
        }
    );
}

#[tokio::test]
async fn many_orders_at_once_all_end() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let skus = ["BEANS", "SCARCE", "CUP", "GONE"].repeat(8);
    let settling = skus.iter().map(|sku| shop.settled(&customer, sku));
    let orders = tokio::time::timeout(PATIENCE, futures_util::future::join_all(settling)).await;
    let orders = orders.unwrap();
    let confirmed = orders
        .iter()
        .filter(|order| order["status"] == "confirmed")
        .count();
    let rejected = orders
        .iter()
        .filter(|order| order["status"] == "rejected")
        .count();
    assert_eq!((confirmed, rejected), (16, 16));
}
