//! What the sandbox tells by itself.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Gateway, create, eventually};

#[tokio::test]
async fn every_change_is_told_signed() {
    let gateway = Gateway::start().await;
    let hook = gateway.hook().await;
    let id = gateway.captured("pm_card_visa").await;
    gateway
        .post("/v1/refunds", &[("payment_intent", &id)])
        .await;
    gateway
        .post("/v1/payment_intents", &create("pm_card_chargeDeclined"))
        .await;
    let id = gateway
        .post("/v1/payment_intents", &create("pm_card_visa"))
        .await
        .id();
    gateway
        .post(&format!("/v1/payment_intents/{id}/cancel"), &[])
        .await;

    eventually("all events arrive", async || hook.events().len() >= 6).await;
    let mut kinds: Vec<String> = hook
        .events()
        .iter()
        .map(|event| event.body["type"].as_str().unwrap().to_owned())
        .collect();
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "charge.refunded",
            "payment_intent.amount_capturable_updated",
            "payment_intent.amount_capturable_updated",
            "payment_intent.canceled",
            "payment_intent.payment_failed",
            "payment_intent.succeeded",
        ]
    );
    for event in hook.events() {
        let seconds: i64 = event.signature[2..]
            .split(',')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let expected = shop_sandbox::signature(
            &gateway.running.webhook_secret,
            seconds,
            event.raw.as_bytes(),
        );
        assert_eq!(event.signature, expected);
    }
}

#[tokio::test]
async fn a_refund_names_itself_in_its_event() {
    let gateway = Gateway::start().await;
    let hook = gateway.hook().await;
    let id = gateway.captured("pm_card_visa").await;
    let form = [
        ("payment_intent", id.as_str()),
        ("amount", "250"),
        ("metadata[refund_id]", "r1"),
    ];
    gateway.post("/v1/refunds", &form).await;
    eventually("the refund is told", async || {
        hook.events()
            .iter()
            .any(|event| event.body["type"] == "charge.refunded")
    })
    .await;
    let events = hook.events();
    let event = events
        .iter()
        .find(|event| event.body["type"] == "charge.refunded")
        .unwrap();
    let charge = &event.body["data"]["object"];
    assert_eq!(charge["amount_refunded"], 250);
    assert_eq!(charge["refunds"]["data"][0]["metadata"]["refund_id"], "r1");
}

#[tokio::test]
async fn a_webhook_that_does_not_arrive_is_sent_again() {
    let gateway = Gateway::start().await;
    let hook = gateway.hook().await;
    hook.fail_next(1);
    gateway
        .post("/v1/payment_intents", &create("pm_card_visa"))
        .await;
    eventually("the event arrives at the second attempt", async || {
        hook.events().len() == 1
    })
    .await;
}
