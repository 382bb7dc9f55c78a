//! `POST /payments/{id}/refunds`.

use serde_json::{Value, json};
use stanchion::runtime::id;

use crate::harness::{Shop, Who, eur};

#[tokio::test]
async fn a_refund_is_accepted_and_then_made() {
    let shop = Shop::open().await;
    let asked = shop.captured("pm_card_visa").await;
    let accepted = shop.refund(asked, &json!({"amount": eur(250)})).await;
    assert_eq!(accepted.status, 202, "{:?}", accepted.body);
    assert_eq!(
        accepted.header("location"),
        format!("/api/v1/payments/{}", asked.payment_id)
    );
    assert_eq!(accepted.data()["refunds"][0]["status"], "pending");
    assert_eq!(accepted.data()["refunded"], eur(0));

    let partly = shop.becomes(asked, "partially_refunded").await;
    assert_eq!(partly["refunded"], eur(250));
    assert_eq!(partly["refunds"][0]["status"], "succeeded");

    // The rest, without a body's amount.
    assert_eq!(shop.refund(asked, &json!({})).await.status, 202);
    let whole = shop.becomes(asked, "refunded").await;
    assert_eq!(whole["refunded"], whole["amount"]);
}

#[tokio::test]
async fn an_amount_may_be_minor_units_and_a_body_may_be_missing() {
    let shop = Shop::open().await;
    let asked = shop.captured("pm_card_visa").await;
    let accepted = shop.refund(asked, &json!({"amount": 250})).await;
    assert_eq!(accepted.data()["refunds"][0]["amount"], eur(250));
    shop.becomes(asked, "partially_refunded").await;

    let path = format!("/payments/{}/refunds", asked.payment_id);
    let bare = shop.request(reqwest::Method::POST, &Who::staff(), &path);
    let bare = shop.send(bare.header("idempotency-key", "rest")).await;
    assert_eq!(bare.data()["refunds"][1]["amount"], eur(1_000));
}

#[tokio::test]
async fn a_whole_number_may_be_written_as_a_float_as_json_schema_has_it() {
    let shop = Shop::open().await;
    let asked = shop.captured("pm_card_visa").await;
    for broken in [json!(2.5), json!(1e300), json!(-250.0), json!(0.0)] {
        let refused = shop.refund(asked, &json!({"amount": broken})).await;
        assert_eq!((refused.status, refused.code()), (422, "VALIDATION_FAILED"));
    }
    let accepted = shop.refund(asked, &json!({"amount": 250.0})).await;
    assert_eq!(accepted.data()["refunds"][0]["amount"], eur(250));
}

#[tokio::test]
async fn the_same_key_refunds_once() {
    let shop = Shop::open().await;
    let asked = shop.captured("pm_card_visa").await;
    let staff = Who::staff();
    let body = json!({"amount": eur(100)});
    let first = shop.refund_with("once", &staff, asked, &body).await;
    let again = shop.refund_with("once", &staff, asked, &body).await;
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(first.data(), again.data());
    let other = shop.refund_with("once", &staff, asked, &json!({})).await;
    assert_eq!(
        (other.status, other.code()),
        (422, "IDEMPOTENCY_KEY_REUSED")
    );

    shop.becomes(asked, "partially_refunded").await;
    let seen = shop
        .get(&staff, &format!("/payments/{}", asked.payment_id))
        .await;
    assert_eq!(seen.data()["refunded"], eur(100));
}

#[tokio::test]
async fn many_refunds_at_once_never_exceed_what_was_captured() {
    let shop = Shop::open().await;
    let asked = shop.captured("pm_card_visa").await;
    let body = json!({"amount": eur(400)});
    let refunds = (0..8).map(|_| shop.refund(asked, &body));
    let answers = futures_util::future::join_all(refunds).await;
    let (given, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 202);
    assert_eq!(given.len(), 3);
    for answer in refused {
        assert!([409, 422].contains(&answer.status), "{:?}", answer.body);
    }
    shop.eventually("three refunds", async || {
        let seen = shop
            .get(&Who::staff(), &format!("/payments/{}", asked.payment_id))
            .await;
        (seen.data()["refunded"] == eur(1_200)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn refunds_that_cannot_be_are_refused_with_their_reason() {
    let shop = Shop::open().await;
    let authorized = shop.authorize("pm_card_visa").await;
    shop.becomes(authorized, "authorized").await;
    let early = shop.refund(authorized, &json!({})).await;
    assert_eq!((early.status, early.code()), (409, "PAYMENT_NOT_CAPTURED"));

    let asked = shop.captured("pm_card_visa").await;
    for (amount, field) in [
        (json!(0), "amount"),
        (json!(-1), "amount"),
        (json!(1_251), "amount"),
        (json!("12.50"), "amount"),
        (json!(1.5), "amount"),
        (json!(true), "amount"),
        (json!({"amount": 1, "currency": "USD"}), "amount.currency"),
        (json!({"amount": 1, "currency": "euro"}), "amount.currency"),
        (json!({"amount": 1}), "amount.currency"),
        (json!(9_300_000_000_000_000_000u64), "amount"),
    ] {
        let refused = shop.refund(asked, &json!({"amount": amount})).await;
        assert_eq!(
            (refused.status, refused.code()),
            (422, "VALIDATION_FAILED"),
            "{amount}"
        );
        let fields = refused.body["error"]["details"]["fields"]
            .as_object()
            .unwrap();
        assert!(fields.contains_key(field), "{amount}: {fields:?}");
    }
    let unknown = shop.refund(asked, &json!({"amuont": 1})).await;
    assert_eq!((unknown.status, unknown.code()), (400, "UNKNOWN_FIELD"));

    shop.refund(asked, &json!({})).await;
    shop.becomes(asked, "refunded").await;
    let late = shop.refund(asked, &json!({})).await;
    assert_eq!(
        (late.status, late.code()),
        (409, "PAYMENT_ALREADY_REFUNDED")
    );
}

#[tokio::test]
async fn a_refund_that_the_gateway_refuses_is_shown_as_failed() {
    let shop = Shop::open().await;
    let asked = shop.captured("pm_card_refundFail").await;
    shop.refund(asked, &json!({"amount": 100})).await;
    let path = format!("/payments/{}", asked.payment_id);
    shop.eventually("the refund fails", async || {
        let seen = shop.get(&Who::staff(), &path).await;
        (seen.data()["refunds"][0]["status"] == "failed").then_some(())
    })
    .await;
    let seen = shop.get(&Who::staff(), &path).await;
    assert_eq!(seen.data()["status"], "captured");
    assert_eq!(
        shop.refund(asked, &json!({"amount": 1_250})).await.status,
        202
    );
}

#[tokio::test]
async fn only_who_may_refund_refunds() {
    let shop = Shop::open().await;
    let asked = shop.captured("pm_card_visa").await;
    for (who, status) in [
        (Who::nobody(), 401),
        (Who::customer(asked), 403),
        (Who::stranger(), 403),
    ] {
        let key = id::new_v7().to_string();
        let answer = shop.refund_with(&key, &who, asked, &json!({})).await;
        assert_eq!(answer.status, status);
    }
    let path = format!("/payments/{}/refunds", id::new_v7());
    let missing = shop.request(reqwest::Method::POST, &Who::staff(), &path);
    let missing = shop
        .send(missing.header("idempotency-key", "x").json(&json!({})))
        .await;
    assert_eq!((missing.status, missing.code()), (404, "PAYMENT_NOT_FOUND"));
    let path = format!("/payments/{}/refunds", asked.payment_id);
    let keyless = shop.request(reqwest::Method::POST, &Who::staff(), &path);
    let keyless = shop
        .send(keyless.json(&Value::Object(Default::default())))
        .await;
    assert_eq!(
        (keyless.status, keyless.code()),
        (400, "IDEMPOTENCY_KEY_REQUIRED")
    );
}
