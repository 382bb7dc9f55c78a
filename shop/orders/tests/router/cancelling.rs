use serde_json::{Value, json};

use crate::harness::{PATIENCE, Shop, Who, id};
use crate::stand_in::{Holdings, Side};

async fn comes_to_hold(shop: &Shop, order: &Value, wanted: Holdings) {
    let holds = async {
        while shop.stand_in.holdings(id(order)).await != wanted {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, holds).await;
    let held = shop.stand_in.holdings(id(order)).await;
    assert!(waited.is_ok(), "it holds {held:?}, not {wanted:?}");
}

fn cancel(order: &Value) -> String {
    format!("/orders/{}/cancel", id(order))
}

#[tokio::test]
async fn a_pending_order_that_is_cancelled_gives_back_what_was_asked_for() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.placed(&customer, "SLOW").await;
    let cancelled = shop.post(&customer, &cancel(&order)).send().await;
    assert_eq!(cancelled.status, 200, "{:?}", cancelled.body);
    assert_eq!(
        (&cancelled.data()["status"], cancelled.header("etag")),
        (&json!("cancelled"), "\"1\"")
    );
    assert!(cancelled.data()["settled_at"].is_string() && !cancelled.token().is_empty());
    comes_to_hold(
        &shop,
        &order,
        Holdings {
            stock: Side::Returned,
            payment: Side::Nothing,
        },
    )
    .await;
}

#[tokio::test]
async fn a_confirmed_order_that_is_cancelled_is_refunded_and_restocked() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.settled(&customer, "BEANS").await;
    let cancelled = shop.post(&Who::staff(), &cancel(&order)).send().await;
    assert_eq!(
        (cancelled.status, &cancelled.data()["status"]),
        (200, &json!("cancelled"))
    );
    assert_eq!(cancelled.data()["settled_at"], order["settled_at"]);
    comes_to_hold(
        &shop,
        &order,
        Holdings {
            stock: Side::Returned,
            payment: Side::Returned,
        },
    )
    .await;
}

#[tokio::test]
async fn cancelling_twice_is_the_same_as_once() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.placed(&customer, "SLOW").await;
    let once = shop.post(&customer, &cancel(&order)).send().await;
    let twice = shop.post(&customer, &cancel(&order)).send().await;
    assert_eq!((twice.status, twice.data()), (200, once.data()));
    let keyed = shop.post(&customer, &cancel(&order)).key("k").send().await;
    let again = shop.post(&customer, &cancel(&order)).key("k").send().await;
    assert_eq!((keyed.status, again.status), (200, 200));
    assert_eq!(
        (again.data(), again.header("idempotent-replayed")),
        (once.data(), "true")
    );
}

#[tokio::test]
async fn a_rejected_order_cannot_be_cancelled() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.settled(&customer, "SCARCE").await;
    let refused = shop.post(&customer, &cancel(&order)).send().await;
    assert_eq!(
        (refused.status, refused.code()),
        (409, "ORDER_NOT_CANCELLABLE")
    );
    assert_eq!(refused.body["error"]["details"]["order_id"], order["id"]);
}

#[tokio::test]
async fn only_the_version_that_was_read_is_cancelled() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.settled(&customer, "BEANS").await;
    let stale = shop
        .post(&customer, &cancel(&order))
        .header("if-match", "\"0\"")
        .send()
        .await;
    assert_eq!((stale.status, stale.code()), (412, "PRECONDITION_FAILED"));
    let current = shop
        .post(&customer, &cancel(&order))
        .header("if-match", "\"1\"")
        .send()
        .await;
    assert_eq!(current.status, 200);
}

#[tokio::test]
async fn somebody_elses_order_is_not_there_to_be_cancelled() {
    let shop = Shop::open().await;
    let order = shop.placed(&Who::customer(), "SLOW").await;
    for who in [Who::customer(), Who::with("order:read")] {
        let refused = shop.post(&who, &cancel(&order)).send().await;
        assert_eq!((refused.status, refused.code()), (404, "ORDER_NOT_FOUND"));
    }
}
