//! A gateway that is slow, broken or forgetful costs time, never money.

use reqwest::Method;
use serde_json::json;
use shop_sandbox::Knobs;

use crate::harness::Shop;

#[tokio::test]
async fn every_second_answer_lost_and_every_fourth_call_failed_ends_well() {
    let shop = Shop::open().await;
    let knobs = Knobs {
        lose_answer_rate: 0.5,
        error_rate: 0.25,
        seed: 7,
        latency_ms: 5,
    };
    shop.sandbox.set_knobs(knobs).unwrap();
    let mut payments = Vec::new();
    for _ in 0..6 {
        payments.push(shop.authorize("pm_card_visa").await);
    }
    for asked in &payments {
        shop.becomes(*asked, "authorized").await;
        shop.capture(*asked).await;
    }
    for asked in &payments {
        shop.becomes(*asked, "captured").await;
    }
    let (kept, cancelled) = payments.split_at(3);
    for asked in cancelled {
        shop.cancel(*asked).await;
    }
    for asked in cancelled {
        shop.becomes(*asked, "refunded").await;
    }
    shop.sandbox.set_knobs(Knobs::default()).unwrap();
    for asked in kept {
        let path = format!("/v1/payment_intents/{}", shop.intent(*asked).await);
        let intent = shop.gateway(Method::GET, &path).await;
        assert_eq!(intent.body["amount_received"], 1_250);
    }
    for asked in cancelled {
        let form = [("payment_intent", shop.intent(*asked).await)];
        let request = reqwest::Client::new().post(format!("{}/v1/refunds", shop.sandbox.url));
        let key = secrecy::ExposeSecret::expose_secret(&shop.sandbox.key);
        let more = shop.send(request.bearer_auth(key).form(&form)).await;
        assert_eq!(more.code(), "charge_already_refunded");
    }
}

#[tokio::test]
async fn a_refund_that_takes_a_while_is_made_in_the_end() {
    let shop = Shop::open().await;
    let asked = shop.captured("pm_card_pendingRefund").await;
    assert_eq!(shop.refund(asked, &json!({"amount": 1})).await.status, 202);
    shop.becomes(asked, "partially_refunded").await;
}

#[tokio::test]
async fn a_cancellation_waits_for_a_gateway_that_is_out() {
    let shop = Shop::open().await;
    let asked = shop.authorize("pm_card_visa").await;
    shop.becomes(asked, "authorized").await;
    let broken = Knobs {
        error_rate: 1.0,
        ..Knobs::default()
    };
    shop.sandbox.set_knobs(broken).unwrap();
    shop.cancel(asked).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    shop.becomes(asked, "authorized").await;
    shop.sandbox.set_knobs(Knobs::default()).unwrap();
    shop.becomes(asked, "voided").await;
}

#[tokio::test]
async fn a_payment_method_that_is_shredded_before_the_gateway_could_be_asked_is_declined() {
    let shop = Shop::open().await;
    let broken = Knobs {
        error_rate: 1.0,
        ..Knobs::default()
    };
    shop.sandbox.set_knobs(broken).unwrap();
    let asked = shop.authorize("pm_card_visa").await;
    shop.becomes(asked, "pending").await;
    shop.vault.shred(&asked.customer_id.to_string());
    // The gateway is still out: nobody asks it any more, and an attempt that had begun before finds nobody.
    shop.becomes(asked, "declined").await;
    shop.sandbox.set_knobs(Knobs::default()).unwrap();
    shop.told(asked, &["payments.payment_declined.v1"]).await;
    let stored = shop.stored().await;
    assert!(!stored.contains("pm_card"), "{stored}");
}
