//! What customers come for: an order, and every way it can end.

use std::time::Duration;

use crate::support::{Answer, Caller, Shop, VISA, eventually, in_every_form, item, items};
use serde_json::json;

const SETTLED_WITHIN: Duration = Duration::from_secs(20);

in_every_form!(
    an_order_is_confirmed_and_stock_and_money_agree_with_it,
    an_order_of_more_than_there_is_ends_rejected_and_holds_nothing,
    a_declined_card_leaves_nothing_reserved,
    an_order_cancelled_before_it_is_settled_is_released_and_voided,
    an_order_cancelled_after_it_was_confirmed_is_refunded_and_restocked,
    the_last_piece_is_sold_once_however_many_want_it,
    every_order_survives_a_kill_and_a_restart,
);

async fn an_order_is_confirmed_and_stock_and_money_agree_with_it(shop: Shop) {
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    admin.stock_product("BEANS", 1250, 10).await;
    admin.stock_product("CUP", 499, 10).await;

    let order = ada.order(&items(&[("BEANS", 2), ("CUP", 3)], VISA)).await;

    assert_eq!(order.text_at("/status"), "confirmed");
    assert_eq!(
        order.data()["total"],
        json!({"amount": 2 * 1250 + 3 * 499, "currency": "EUR"})
    );
    assert_eq!(order.text_at("/customer_id"), ada.id);
    assert_eq!(order.data()["items"][0]["unit_price"]["amount"], 1250);
    assert_eq!(order.data()["items"][1]["total"]["amount"], 3 * 499);
    assert!(order.data()["settled_at"].is_string());
    assert_eq!(order.header("preference-applied"), Some("wait=20"));
    in_stock(&shop, &ada, "BEANS", 8).await;
    in_stock(&shop, &ada, "CUP", 7).await;
    let payment = ada.payment_of(&order).await;
    assert_eq!(payment.text_at("/status"), "captured");
    assert_eq!(payment.data()["amount"], order.data()["total"]);
    assert_eq!(payment.number_at("/refunded/amount"), 0);
    assert_eq!(payment.text_at("/order_id"), order.text_at("/id"));
}

#[tokio::test]
async fn an_order_is_accepted_at_once_and_can_be_read_at_once() {
    let shop = Shop::start().await;
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    admin.stock_product("BEANS", 1250, 10).await;

    let placed = ada.place(&item("BEANS", 1)).await;

    assert_eq!(placed.text_at("/status"), "pending");
    let id = placed.text_at("/id");
    assert_eq!(
        placed.header("location"),
        Some(format!("/api/v1/orders/{id}").as_str())
    );
    assert_eq!(ada.see_order(&id).await.text_at("/id"), id);
    settled(&ada, &id).await;
}

#[tokio::test]
async fn what_was_created_can_be_read_at_once() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    for n in 0..10 {
        let sku = format!("FRESH-{n}");
        admin.stock_product(&sku, 100, n).await;
        assert_eq!(admin.stock(&sku).await, n);
        let user = json!({"email": format!("u{n}@example.com"), "username": format!("user{n}"), "password": "long enough"});
        let made = shop
            .anyone()
            .post("/users")
            .json(&user)
            .send()
            .await
            .expect(201);
        let path = made
            .header("location")
            .unwrap()
            .strip_prefix("/api/v1")
            .unwrap();
        admin.get(path).send().await.expect(200);
    }
}

async fn an_order_of_more_than_there_is_ends_rejected_and_holds_nothing(shop: Shop) {
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    admin.stock_product("BEANS", 1250, 10).await;
    admin.stock_product("RARE", 99, 1).await;

    let order = ada.order(&items(&[("BEANS", 5), ("RARE", 2)], VISA)).await;

    assert_eq!(order.text_at("/status"), "rejected");
    assert_eq!(order.text_at("/reason"), "OUT_OF_STOCK");
    in_stock(&shop, &ada, "BEANS", 10).await;
    in_stock(&shop, &ada, "RARE", 1).await;
    assert_nothing_is_kept(&ada, &order).await;
}

async fn a_declined_card_leaves_nothing_reserved(shop: Shop) {
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    admin.stock_product("BEANS", 1250, 10).await;

    let order = ada
        .order(&items(&[("BEANS", 4)], "pm_card_chargeDeclined"))
        .await;

    assert_eq!(order.text_at("/status"), "rejected");
    assert_eq!(order.text_at("/reason"), "PAYMENT_DECLINED");
    in_stock(&shop, &ada, "BEANS", 10).await;
    assert_eq!(ada.payment_of(&order).await.text_at("/status"), "declined");
    let all = ada.order(&item("BEANS", 10)).await;
    assert_eq!(all.text_at("/status"), "confirmed");
}

async fn an_order_cancelled_before_it_is_settled_is_released_and_voided(shop: Shop) {
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    admin.stock_product("BEANS", 1250, 10).await;

    // Which step the cancellation finds is up to the race: it must end well in every one.
    for _ in 0..10 {
        let placed = ada.place(&item("BEANS", 7)).await;
        let id = placed.text_at("/id");
        let cancelled = ada
            .post(&format!("/orders/{id}/cancel"))
            .send()
            .await
            .expect(200);
        assert_eq!(cancelled.text_at("/status"), "cancelled");
        assert_eq!(cancelled.text_at("/id"), id);
        eventually("the stock returns", SETTLED_WITHIN, || async {
            (ada.stock("BEANS").await == 10).then_some(())
        })
        .await;
        assert_nothing_is_kept(&ada, &placed).await;
        assert_eq!(ada.see_order(&id).await.text_at("/status"), "cancelled");
    }
}

async fn an_order_cancelled_after_it_was_confirmed_is_refunded_and_restocked(shop: Shop) {
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    admin.stock_product("BEANS", 1250, 10).await;
    let order = ada.order(&item("BEANS", 3)).await;
    in_stock(&shop, &ada, "BEANS", 7).await;

    let id = order.text_at("/id");
    let cancelled = ada
        .post(&format!("/orders/{id}/cancel"))
        .send()
        .await
        .expect(200);

    assert_eq!(cancelled.text_at("/status"), "cancelled");
    eventually("money and stock return", SETTLED_WITHIN, || async {
        let refunded = ada.payment_of(&order).await.text_at("/status") == "refunded";
        (refunded && ada.stock("BEANS").await == 10).then_some(())
    })
    .await;
    let payment = ada.payment_of(&order).await;
    assert_eq!(payment.data()["refunded"], order.data()["total"]);
}

#[tokio::test]
async fn cancelling_twice_is_the_same_as_once_and_a_rejected_order_cannot_be() {
    let shop = Shop::start().await;
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    admin.stock_product("BEANS", 1250, 3).await;
    let order = ada.order(&item("BEANS", 3)).await;
    let cancel = format!("/orders/{}/cancel", order.text_at("/id"));
    for _ in 0..2 {
        let answer = ada.post(&cancel).send().await.expect(200);
        assert_eq!(answer.text_at("/status"), "cancelled");
    }
    let rejected = ada.order(&items(&[("WOODEN-SPOON", 9)], VISA)).await;
    let cancel = format!("/orders/{}/cancel", rejected.text_at("/id"));
    ada.post(&cancel).send().await.expect(409);
}

async fn the_last_piece_is_sold_once_however_many_want_it(shop: Shop) {
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    admin.stock_product("RARE", 5000, 5).await;

    let orders = (0..20).map(|_| {
        let ada = ada.clone();
        async move { ada.order(&item("RARE", 1)).await.text_at("/status") }
    });
    let ends = futures_util::future::join_all(orders).await;

    assert_eq!(
        ends.iter().filter(|end| *end == "confirmed").count(),
        5,
        "{ends:?}"
    );
    assert_eq!(
        ends.iter().filter(|end| *end == "rejected").count(),
        15,
        "{ends:?}"
    );
    in_stock(&shop, &ada, "RARE", 0).await;
}

#[tokio::test]
async fn the_history_of_an_order_tells_how_it_went() {
    let shop = Shop::start().await;
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    admin.stock_product("BEANS", 1250, 10).await;
    let id = ada.order(&item("BEANS", 1)).await.text_at("/id");
    ada.post(&format!("/orders/{id}/cancel"))
        .send()
        .await
        .expect(200);

    let history = ada
        .get(&format!("/orders/{id}/history"))
        .send()
        .await
        .expect(200);

    let entries = history.data();
    let told: Vec<_> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["type"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["order_placed", "order_confirmed", "order_cancelled"]);
    for (version, entry) in entries.as_array().unwrap().iter().enumerate() {
        assert_eq!(entry["version"].as_u64(), Some(version as u64), "{entry}");
        assert!(
            entry["at"].is_string() && entry["data"].is_object(),
            "{entry}"
        );
    }
    assert!(
        !history.text.contains("pm_card"),
        "the payment method is nobody's business\n{}",
        history.text
    );
}

#[tokio::test]
async fn prices_are_the_servers_and_are_those_of_the_moment() {
    let shop = Shop::start().await;
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    admin.stock_product("BEANS", 1250, 10).await;
    let before = ada.order(&item("BEANS", 1)).await;
    let dearer = json!({"price": {"amount": 1500, "currency": "EUR"}});
    admin
        .patch("/products/BEANS")
        .json(&dearer)
        .send()
        .await
        .expect(200);

    let after = ada.order(&item("BEANS", 1)).await;

    assert_eq!(before.number_at("/total/amount"), 1250);
    assert_eq!(after.number_at("/total/amount"), 1500);
    assert_eq!(
        ada.see_order(&before.text_at("/id"))
            .await
            .number_at("/total/amount"),
        1250
    );
}

async fn every_order_survives_a_kill_and_a_restart(mut shop: Shop) {
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    admin.stock_product("BEANS", 1250, 100).await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(ada.place(&item("BEANS", 1)).await.text_at("/id"));
    }

    shop.kill();
    shop.restart().await;

    for id in ids {
        assert_eq!(settled(&ada, &id).await.text_at("/status"), "confirmed");
    }
    in_stock(&shop, &ada, "BEANS", 90).await;
    shop.adds_up(SETTLED_WITHIN).await;
}

/// So many of it are free: at once where one process sells and shows, and soon where the one that shows hears of it by the log.
async fn in_stock(shop: &Shop, caller: &Caller, sku: &str, pieces: i64) {
    if shop.services.is_none() {
        return assert_eq!(caller.stock(sku).await, pieces, "{sku}");
    }
    let what = format!("{pieces} of {sku} are free");
    eventually(&what, SETTLED_WITHIN, || async {
        (caller.stock(sku).await == pieces).then_some(())
    })
    .await;
}

/// The order, once it is not pending any more.
async fn settled(caller: &Caller, id: &str) -> Answer {
    eventually("the order settles", SETTLED_WITHIN, || async {
        let order = caller.see_order(id).await;
        (order.text_at("/status") != "pending").then_some(order)
    })
    .await
}

/// No payment, or one that neither holds nor took money.
async fn assert_nothing_is_kept(caller: &Caller, order: &Answer) {
    let path = format!(
        "/payments/{}",
        order.data()["payment_id"].as_str().unwrap_or("none")
    );
    eventually("no money is kept", SETTLED_WITHIN, || async {
        let payment = caller.get(&path).send().await;
        let ended = ["declined", "voided", "refunded"];
        let kept = payment.status == 200 && !ended.contains(&payment.text_at("/status").as_str());
        (!kept).then_some(())
    })
    .await;
}
