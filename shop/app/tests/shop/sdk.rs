//! The client for outside users: its examples as they are written, and what it does when the shop says no.

use std::time::Duration;

use shop_client::{NewOrder, NewUser, OrderStatus, PaymentStatus, SecretString, ShopClient};

use crate::support::{ADMIN_PASSWORD, PASSWORD, Shop};

#[path = "../../../client/examples/buy.rs"]
#[allow(dead_code, unreachable_pub, reason = "its main is not ours")]
mod buy;
#[path = "../../../client/examples/catalogue.rs"]
#[allow(dead_code, unreachable_pub, reason = "likewise")]
mod catalogue;

fn url(shop: &Shop) -> String {
    format!("http://{}", shop.address)
}

#[tokio::test]
async fn the_examples_do_what_they_say() {
    let shop = Shop::start().await;
    let products = catalogue::run(&url(&shop)).await.unwrap();
    assert_eq!(products.len(), 12);
    let before = &products[0];
    let order = buy::run(&url(&shop), "ada", &before.sku).await.unwrap();
    assert_eq!(order.status, OrderStatus::Cancelled);
    assert_eq!(order.items[0].unit_price, before.price);
}

#[tokio::test]
async fn a_session_renews_its_tokens_and_an_order_under_one_key_is_one() {
    let shop = Shop::start_with(&[("SHOP__AUTH__ACCESS_TOKEN_LIFE", "2s")]).await;
    let client = ShopClient::new(&url(&shop)).unwrap();
    let sku = client.products(Some("mug"), None).await.unwrap().items[0]
        .sku
        .clone();
    let password = SecretString::from(PASSWORD);
    let account = NewUser {
        email: "ada@example.com".into(),
        username: "ada".into(),
        password: password.clone(),
    };
    client.register(&account).await.unwrap();
    let taken = client.register(&account).await.unwrap_err();
    assert_eq!(taken.code(), Some("EMAIL_TAKEN"), "{taken}");
    let ada = client.log_in("ada", &password).await.unwrap();
    // Each token lives for two seconds: every call renews it before it is used.
    let order = NewOrder::of("pm_card_visa").item(&sku, 2);
    let first = ada
        .place_order(&order, "basket", Duration::from_secs(20))
        .await
        .unwrap();
    assert_eq!(first.status, OrderStatus::Confirmed);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let again = ada
        .place_order(&order, "basket", Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(again.id, first.id);
    assert_eq!(ada.orders(None).await.unwrap().total, Some(1));
    assert_eq!(
        ada.settled(&first.id, Duration::from_secs(1))
            .await
            .unwrap()
            .id,
        first.id
    );

    let other = NewOrder::of("pm_card_visa").item(&sku, 3);
    let reused = ada
        .place_order(&other, "basket", Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(reused.code(), Some("IDEMPOTENCY_KEY_REUSED"), "{reused}");
    let unknown = NewOrder::of("pm_card_visa").item("NO-SUCH", 1);
    let unknown = ada
        .place_order(&unknown, "other", Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), Some("VALIDATION_FAILED"), "{unknown}");

    let payment = first.payment_id.unwrap();
    assert_eq!(
        ada.payment(&payment).await.unwrap().status,
        PaymentStatus::Captured
    );
    assert_eq!(ada.payments(Some(&first.id)).await.unwrap().items.len(), 1);
    let forbidden = ada.refund(&payment, None, "refund").await.unwrap_err();
    assert_eq!(forbidden.code(), Some("FORBIDDEN"), "{forbidden}");
    let admin = client
        .log_in("admin", &ADMIN_PASSWORD.into())
        .await
        .unwrap();
    admin.refund(&payment, None, "refund").await.unwrap();

    ada.clone().log_out().await.unwrap();
    let over = ada.refresh().await.unwrap_err();
    assert_eq!(over.code(), Some("UNAUTHENTICATED"), "{over}");
}

#[tokio::test]
async fn a_shop_that_is_away_is_told_as_such() {
    let shop = Shop::start().await;
    let away = url(&shop);
    drop(shop);
    let client = ShopClient::new(&away).unwrap();
    let error = client.products(None, None).await.unwrap_err();
    let shop_client::ShopError::Unanswered(error) = error else {
        panic!("{error}")
    };
    assert!(
        matches!(error.reason(), stanchion::client::Reason::Connect(_)),
        "{error}"
    );
}
