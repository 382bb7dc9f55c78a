//! What the gateway tells by webhook.

use reqwest::Method;
use serde_json::{Value, json};
use stanchion::runtime::clock;

use crate::harness::{Answered, Asked, Shop, Who};

async fn tell(shop: &Shop, event: &Value) -> Answered {
    let body = event.to_string();
    let seconds = clock::now().as_second();
    let signature = shop_sandbox::signature(&shop.sandbox.webhook_secret, seconds, body.as_bytes());
    tell_signed(shop, body, Some(&signature)).await
}

async fn tell_signed(shop: &Shop, body: String, signature: Option<&str>) -> Answered {
    let mut request = shop
        .request(Method::POST, &Who::nobody(), "/payments/webhook")
        .body(body);
    if let Some(signature) = signature {
        request = request.header("stripe-signature", signature);
    }
    shop.send(request).await
}

fn about(asked: Asked, intent: &str, status: &str) -> Value {
    let metadata = json!({"payment_id": asked.payment_id, "order_id": asked.order_id});
    let object = json!({"id": intent, "status": status, "metadata": metadata});
    json!({"id": "evt_1", "type": "payment_intent.x", "data": {"object": object}})
}

#[tokio::test]
async fn a_capture_that_only_the_gateway_knows_is_taken_over() {
    let shop = Shop::open().await;
    let asked = shop.authorize("pm_card_visa").await;
    shop.becomes(asked, "authorized").await;
    let intent = shop.intent(asked).await;
    let told = shop
        .gateway(
            Method::POST,
            &format!("/v1/payment_intents/{intent}/capture"),
        )
        .await;
    assert_eq!(told.status, 200);
    shop.becomes(asked, "captured").await;
    shop.capture(asked).await;
    let twice = ["payments.payment_captured.v1"; 2];
    shop.told(
        asked,
        &["payments.payment_authorized.v1", twice[0], twice[1]],
    )
    .await;
}

#[tokio::test]
async fn an_authorization_that_ends_at_the_gateway_ends_here() {
    let shop = Shop::open().await;
    let asked = shop.authorize("pm_card_visa").await;
    shop.becomes(asked, "authorized").await;
    let intent = shop.intent(asked).await;
    shop.gateway(
        Method::POST,
        &format!("/v1/payment_intents/{intent}/cancel"),
    )
    .await;
    shop.becomes(asked, "voided").await;
}

#[tokio::test]
async fn what_is_told_late_or_twice_changes_nothing() {
    let shop = Shop::open().await;
    let asked = shop.captured("pm_card_visa").await;
    let intent = shop.intent(asked).await;
    let version = async || {
        let path = format!("/payments/{}", asked.payment_id);
        shop.get(&Who::staff(), &path).await.data()["version"].clone()
    };
    let before = version().await;
    for status in ["requires_capture", "succeeded", "processing", "canceled"] {
        assert_eq!(
            tell(&shop, &about(asked, &intent, status)).await.status,
            200,
            "{status}"
        );
    }
    let foreign = about(asked, "pi_foreign", "canceled");
    assert_eq!(tell(&shop, &foreign).await.status, 200);
    assert_eq!(version().await, before);
}

#[tokio::test]
async fn events_that_are_not_ours_are_received() {
    let shop = Shop::open().await;
    for event in [
        json!({"id": "evt_1", "type": "customer.created", "data": {"object": {}}}),
        json!({"type": "payment_intent.succeeded", "data": {"object": {"id": "pi_1", "status": "succeeded"}}}),
        json!({}),
    ] {
        let heard = tell(&shop, &event).await;
        assert_eq!(
            (heard.status, &heard.data()["received"]),
            (200, &json!(true)),
            "{event}"
        );
    }
}

#[tokio::test]
async fn nobody_but_the_gateway_is_believed() {
    let shop = Shop::open().await;
    let asked = shop.authorize("pm_card_visa").await;
    shop.becomes(asked, "authorized").await;
    let body = about(asked, &shop.intent(asked).await, "succeeded").to_string();
    let now = clock::now().as_second();
    let secret = &shop.sandbox.webhook_secret;
    let replayed = shop_sandbox::signature(secret, now - 301, body.as_bytes());
    let forged = shop_sandbox::signature(&"whsec_other".into(), now, body.as_bytes());
    let other_body = shop_sandbox::signature(secret, now, b"{}");
    for signature in [
        None,
        Some("nonsense"),
        Some(&*replayed),
        Some(&*forged),
        Some(&*other_body),
    ] {
        let refused = tell_signed(&shop, body.clone(), signature).await;
        assert_eq!(
            (refused.status, refused.code()),
            (400, "INVALID_SIGNATURE"),
            "{signature:?}"
        );
    }
    shop.becomes(asked, "authorized").await;
}
