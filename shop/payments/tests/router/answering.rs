//! What orders asks is answered, once.

use crate::harness::{Shop, eur};

const AUTHORIZED: &str = "payments.payment_authorized.v1";
const DECLINED: &str = "payments.payment_declined.v1";
const CAPTURED: &str = "payments.payment_captured.v1";
const CANCELLED: &str = "payments.payment_cancelled.v1";

/// Only what is kept in order by the order; requests to the gateway are kept by the payment.
#[tokio::test]
async fn a_payment_is_authorized_and_captured() {
    let shop = Shop::open().await;
    let asked = shop.captured("pm_card_visa").await;
    shop.told(asked, &[AUTHORIZED, CAPTURED]).await;
    let intent = shop.intent(asked).await;
    let kept = shop
        .gateway(
            reqwest::Method::GET,
            &format!("/v1/payment_intents/{intent}"),
        )
        .await;
    assert_eq!(kept.body["amount_received"], 1_250);
    assert_eq!(
        kept.body["metadata"]["payment_id"],
        asked.payment_id.to_string()
    );
    shop.stop().await;
}

#[tokio::test]
async fn a_declined_card_is_answered_with_its_code() {
    let shop = Shop::open().await;
    let asked = shop.authorize("pm_card_chargeDeclined").await;
    shop.becomes(asked, "declined").await;
    shop.told(asked, &[DECLINED]).await;
    let message = shop
        .announced()
        .await
        .into_iter()
        .find(|message| message.contract == DECLINED);
    assert_eq!(message.unwrap().payload["code"], "card_declined");
    shop.cancel(asked).await;
    shop.told(asked, &[DECLINED, CANCELLED]).await;
}

#[tokio::test]
async fn a_capture_that_fails_is_declined_and_nothing_stays_reserved() {
    let shop = Shop::open().await;
    let asked = shop.authorize("pm_card_captureDeclined").await;
    shop.becomes(asked, "authorized").await;
    shop.capture(asked).await;
    shop.becomes(asked, "declined").await;
    shop.told(asked, &[AUTHORIZED, DECLINED]).await;
    let intent = shop.intent(asked).await;
    let kept = shop
        .gateway(
            reqwest::Method::GET,
            &format!("/v1/payment_intents/{intent}"),
        )
        .await;
    assert_eq!(kept.body["status"], "canceled");
}

#[tokio::test]
async fn cancelling_an_authorized_payment_voids_it() {
    let shop = Shop::open().await;
    let asked = shop.authorize("pm_card_visa").await;
    shop.becomes(asked, "authorized").await;
    shop.cancel(asked).await;
    shop.becomes(asked, "voided").await;
    shop.cancel(asked).await;
    shop.told(asked, &[AUTHORIZED, CANCELLED]).await;
}

#[tokio::test]
async fn cancelling_at_once_leaves_nothing_reserved() {
    let shop = Shop::open().await;
    let asked = shop.authorize("pm_card_visa").await;
    shop.cancel(asked).await;
    shop.becomes(asked, "voided").await;
    shop.told(asked, &[AUTHORIZED, CANCELLED]).await;
}

#[tokio::test]
async fn cancelling_while_capturing_keeps_nothing() {
    let shop = Shop::open().await;
    let asked = shop.authorize("pm_card_visa").await;
    shop.becomes(asked, "authorized").await;
    shop.capture(asked).await;
    shop.cancel(asked).await;
    let intent = shop.intent(asked).await;
    shop.eventually("nothing is kept", async || {
        let path = format!("/v1/payment_intents/{intent}");
        let kept = shop.gateway(reqwest::Method::GET, &path).await;
        let staff = crate::harness::Who::staff();
        let payment = shop
            .get(&staff, &format!("/payments/{}", asked.payment_id))
            .await;
        let status = payment.data()["status"].as_str().unwrap().to_owned();
        match kept.body["status"].as_str().unwrap() {
            "canceled" => (status == "voided").then_some(()),
            _ => (status == "refunded").then_some(()),
        }
    })
    .await;
}

#[tokio::test]
async fn cancelling_a_captured_payment_refunds_it() {
    let shop = Shop::open().await;
    let asked = shop.captured("pm_card_visa").await;
    shop.cancel(asked).await;
    let payment = shop.becomes(asked, "refunded").await;
    assert_eq!(payment["refunded"], eur(1_250));
    shop.told(asked, &[AUTHORIZED, CAPTURED, CANCELLED]).await;
}

#[tokio::test]
async fn cancelling_what_was_never_asked_for_is_answered() {
    let shop = Shop::open().await;
    let other = shop.authorize("pm_card_visa").await;
    let asked = crate::harness::Asked {
        payment_id: shop_kernel::PaymentId(stanchion::runtime::id::new_v7()),
        order_id: shop_kernel::OrderId(stanchion::runtime::id::new_v7()),
        ..other
    };
    shop.cancel(asked).await;
    shop.told(asked, &[CANCELLED]).await;
    let staff = crate::harness::Who::staff();
    let path = format!("/payments/{}", asked.payment_id);
    assert_eq!(shop.get(&staff, &path).await.code(), "PAYMENT_NOT_FOUND");
}
