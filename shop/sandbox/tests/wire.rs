//! The sandbox over its wire.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use shop_sandbox::Knobs;
use support::{Gateway, create, fresh_key};

#[tokio::test]
async fn an_intent_is_authorised_and_captured() {
    let gateway = Gateway::start().await;
    let made = gateway
        .post("/v1/payment_intents", &create("pm_card_visa"))
        .await;
    assert_eq!(made.status, 200);
    assert_eq!(made.body["status"], "requires_capture");
    assert_eq!(made.body["amount_capturable"], 1_250);
    assert_eq!(made.body["metadata"]["payment_id"], "p1");
    let id = made.id();

    let captured = gateway
        .post(&format!("/v1/payment_intents/{id}/capture"), &[])
        .await;
    assert_eq!(captured.body["status"], "succeeded");
    assert_eq!(captured.body["amount_received"], 1_250);
    let seen = gateway.get(&format!("/v1/payment_intents/{id}")).await;
    assert_eq!(seen.body, captured.body);
}

#[tokio::test]
async fn an_intent_is_cancelled_once_and_never_captured_after() {
    let gateway = Gateway::start().await;
    let id = gateway
        .post("/v1/payment_intents", &create("pm_card_visa"))
        .await
        .id();
    let cancelled = gateway
        .post(&format!("/v1/payment_intents/{id}/cancel"), &[])
        .await;
    assert_eq!(cancelled.body["status"], "canceled");
    for call in ["cancel", "capture"] {
        let refused = gateway
            .post(&format!("/v1/payment_intents/{id}/{call}"), &[])
            .await;
        assert_eq!(refused.status, 400, "{call}");
        assert_eq!(refused.code(), "payment_intent_unexpected_state");
        assert_eq!(
            refused.body["error"]["payment_intent"]["status"],
            "canceled"
        );
    }
}

#[tokio::test]
async fn test_methods_decline_in_stripes_words() {
    let gateway = Gateway::start().await;
    for (method, code, decline_code) in [
        (
            "pm_card_chargeDeclined",
            "card_declined",
            json!("generic_decline"),
        ),
        (
            "pm_card_chargeDeclinedInsufficientFunds",
            "card_declined",
            json!("insufficient_funds"),
        ),
        (
            "pm_card_chargeDeclinedExpiredCard",
            "expired_card",
            json!(null),
        ),
    ] {
        let refused = gateway.post("/v1/payment_intents", &create(method)).await;
        assert_eq!(refused.status, 402, "{method}");
        assert_eq!(refused.body["error"]["type"], "card_error");
        assert_eq!(refused.code(), code);
        assert_eq!(refused.body["error"]["decline_code"], decline_code);
        let intent = &refused.body["error"]["payment_intent"];
        assert_eq!(intent["status"], "requires_payment_method");
    }
}

#[tokio::test]
async fn a_method_can_fail_at_capture_and_stays_reserved() {
    let gateway = Gateway::start().await;
    let method = create("pm_card_captureDeclined");
    let id = gateway.post("/v1/payment_intents", &method).await.id();
    let refused = gateway
        .post(&format!("/v1/payment_intents/{id}/capture"), &[])
        .await;
    assert_eq!(
        (refused.status, refused.code()),
        (402, "card_declined".into())
    );
    let intent = gateway.get(&format!("/v1/payment_intents/{id}")).await;
    assert_eq!(intent.body["status"], "requires_capture");
    assert_eq!(intent.body["last_payment_error"]["code"], "card_declined");
}

#[tokio::test]
async fn the_same_key_and_parameters_have_one_effect_and_one_answer() {
    let gateway = Gateway::start().await;
    for method in ["pm_card_visa", "pm_card_chargeDeclined"] {
        let key = fresh_key();
        let first = gateway
            .post_with(&key, "/v1/payment_intents", &create(method))
            .await;
        let again = gateway
            .post_with(&key, "/v1/payment_intents", &create(method))
            .await;
        assert_eq!((first.status, &first.body), (again.status, &again.body));
    }
}

#[tokio::test]
async fn the_same_key_with_other_parameters_is_refused() {
    let gateway = Gateway::start().await;
    let key = fresh_key();
    let made = gateway
        .post_with(&key, "/v1/payment_intents", &create("pm_card_visa"))
        .await;
    let other = gateway
        .post_with(&key, "/v1/payment_intents", &create("pm_card_amex"))
        .await;
    assert_eq!(other.status, 400);
    assert_eq!(other.body["error"]["type"], "idempotency_error");
    let path = format!("/v1/payment_intents/{}/cancel", made.id());
    let elsewhere = gateway.post_with(&key, &path, &[]).await;
    assert_eq!(elsewhere.body["error"]["type"], "idempotency_error");
}

#[tokio::test]
async fn the_same_key_at_the_same_time_is_one_effect() {
    let gateway = Gateway::start().await;
    let key = fresh_key();
    let form = create("pm_card_visa");
    let calls = (0..16).map(|_| gateway.post_with(&key, "/v1/payment_intents", &form));
    let answers = futures_util::future::join_all(calls).await;
    let mut ids: Vec<String> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .map(support::Answer::id)
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let others = answers.iter().filter(|answer| answer.status != 200);
    for answer in others {
        assert_eq!(
            (answer.status, answer.code()),
            (409, "idempotency_key_in_use".into())
        );
    }
}

#[tokio::test]
async fn refunds_give_back_at_most_what_was_received() {
    let gateway = Gateway::start().await;
    let id = gateway.captured("pm_card_visa").await;
    let part = [("payment_intent", id.as_str()), ("amount", "1000")];
    let refund = gateway.post("/v1/refunds", &part).await;
    assert_eq!(refund.body["status"], "succeeded");
    let seen = gateway.get(&format!("/v1/refunds/{}", refund.id())).await;
    assert_eq!(seen.body, refund.body);

    assert_eq!(gateway.post("/v1/refunds", &part).await.status, 400);
    let rest = gateway
        .post("/v1/refunds", &[("payment_intent", &id)])
        .await;
    assert_eq!(rest.body["amount"], 250);
    let more = gateway
        .post("/v1/refunds", &[("payment_intent", &id)])
        .await;
    assert_eq!(more.code(), "charge_already_refunded");
}

#[tokio::test]
async fn what_was_not_captured_is_not_refunded() {
    let gateway = Gateway::start().await;
    let id = gateway
        .post("/v1/payment_intents", &create("pm_card_visa"))
        .await
        .id();
    assert_eq!(
        gateway
            .post("/v1/refunds", &[("payment_intent", &id)])
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn refunds_may_fail_or_take_a_while() {
    let gateway = Gateway::start().await;
    let id = gateway.captured("pm_card_refundFail").await;
    let failed = gateway
        .post("/v1/refunds", &[("payment_intent", &id)])
        .await;
    assert_eq!(failed.body["status"], "failed");

    let id = gateway.captured("pm_card_pendingRefund").await;
    let pending = gateway
        .post("/v1/refunds", &[("payment_intent", &id)])
        .await;
    assert_eq!(pending.body["status"], "pending");
    let path = format!("/v1/refunds/{}", pending.id());
    support::eventually("the refund succeeds", async || {
        gateway.get(&path).await.body["status"] == "succeeded"
    })
    .await;
}

#[tokio::test]
async fn calls_that_make_no_sense_are_told_so() {
    let gateway = Gateway::start().await;
    let with = |name: &'static str, value: &'static str| {
        let mut form = create("pm_card_visa");
        form.retain(|(field, _)| *field != name);
        form.push((name, value));
        form
    };
    for (form, code, param) in [
        (with("amount", ""), "parameter_missing", "amount"),
        (with("amount", "0"), "parameter_invalid_integer", "amount"),
        (with("amount", "1.5"), "parameter_invalid_integer", "amount"),
        (
            with("amount", "9999999999999"),
            "amount_too_large",
            "amount",
        ),
        (
            with("currency", "euro"),
            "parameter_invalid_string",
            "currency",
        ),
        (
            with("payment_method", "pm_nobody"),
            "resource_missing",
            "payment_method",
        ),
        (with("amuont", "1"), "parameter_unknown", "amuont"),
    ] {
        let refused = gateway.post("/v1/payment_intents", &form).await;
        assert!([400, 404].contains(&refused.status), "{param}");
        assert_eq!(refused.code(), code);
        assert_eq!(refused.body["error"]["param"], param);
    }
    assert_eq!(
        gateway.get("/v1/payment_intents/pi_nobody").await.status,
        404
    );
    assert_eq!(gateway.get("/v1/nothing").await.status, 404);
}

#[tokio::test]
async fn nobody_gets_in_without_the_key() {
    let gateway = Gateway::start().await;
    for path in ["/v1/payment_intents/pi_1", "/knobs"] {
        let answer = gateway
            .client
            .get(format!("{}{path}", gateway.url()))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 401, "{path}");
        let answer = gateway
            .client
            .get(format!("{}{path}", gateway.url()))
            .bearer_auth("sk_test_wrong");
        assert_eq!(answer.send().await.unwrap().status(), 401, "{path}");
    }
}

#[tokio::test]
async fn a_lost_answer_had_its_effect() {
    let gateway = Gateway::start().await;
    let knobs = Knobs {
        lose_answer_rate: 1.0,
        ..Knobs::default()
    };
    gateway.running.set_knobs(knobs).unwrap();
    let key = fresh_key();
    let form = create("pm_card_visa");
    gateway
        .try_post(&key, "/v1/payment_intents", &form)
        .await
        .unwrap_err();

    gateway.running.set_knobs(Knobs::default()).unwrap();
    let (made, events) = (
        gateway.post_with(&key, "/v1/payment_intents", &form).await,
        1,
    );
    assert_eq!(made.body["status"], "requires_capture");
    let hook = gateway.hook().await;
    support::eventually("the webhook arrives", async || {
        hook.events().len() == events
    })
    .await;
}

#[tokio::test]
async fn an_error_that_was_asked_for_has_no_effect() {
    let gateway = Gateway::start().await;
    let knobs = json!({"error_rate": 1.0, "seed": 7});
    assert_eq!(gateway.post_json("/knobs", &knobs).await.status, 200);
    let key = fresh_key();
    let failed = gateway
        .post_with(&key, "/v1/payment_intents", &create("pm_card_visa"))
        .await;
    assert_eq!(
        (failed.status, &failed.body["error"]["type"]),
        (500, &json!("api_error"))
    );

    assert_eq!(gateway.post_json("/knobs", &json!({})).await.status, 200);
    let made = gateway
        .post_with(&key, "/v1/payment_intents", &create("pm_card_visa"))
        .await;
    assert_eq!(made.status, 200);
}

#[tokio::test]
async fn knobs_that_are_none_are_refused() {
    let gateway = Gateway::start().await;
    for knobs in [
        json!({"error_rate": 2}),
        json!({"nob": 1}),
        json!({"latency_ms": -1}),
        json!([]),
    ] {
        assert_eq!(
            gateway.post_json("/knobs", &knobs).await.status,
            400,
            "{knobs}"
        );
    }
}

#[tokio::test]
async fn what_was_answered_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let settings = support::settings_in(folder.path());
    let gateway = Gateway::start_with(settings.clone()).await;
    let key = fresh_key();
    let form = create("pm_card_visa");
    let made = gateway.post_with(&key, "/v1/payment_intents", &form).await;
    gateway.running.stop().await;

    let gateway = Gateway::start_with(settings).await;
    let again = gateway.post_with(&key, "/v1/payment_intents", &form).await;
    assert_eq!(again.body, made.body);
    gateway.running.stop().await;
}

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let settings = shop_sandbox::Settings {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..shop_sandbox::Settings::default()
    };
    assert!(shop_sandbox::Sandbox::start(settings).await.is_err());
}
