//! The adapter against the sandbox, over HTTP.

use secrecy::SecretString;
use shop_kernel::{Currency, OrderId, PaymentId};
use shop_sandbox::{Knobs, Running, Sandbox, Settings};
use stanchion::client::ClientSettings;
use stanchion::runtime::id;

use super::*;
use crate::domain::payment::RefundId;

struct Line {
    sandbox: Running,
    gateway: StripeGateway,
}

impl Line {
    async fn open() -> Self {
        let sandbox = Sandbox::start(Settings::default()).await.unwrap();
        let gateway = gateway(&sandbox.url, &sandbox.key);
        Self { sandbox, gateway }
    }

    fn knobs(&self, knobs: Knobs) {
        self.sandbox.set_knobs(knobs).unwrap();
    }

    async fn authorized(&self, method: &str) -> String {
        let answer = self.gateway.authorize(id::new_v7(), &wanted(method)).await;
        match answer.unwrap() {
            IntentAnswer::Authorized { intent } => intent,
            other => panic!("{other:?}"),
        }
    }

    async fn captured(&self, method: &str) -> String {
        let intent = self.authorized(method).await;
        let answer = self
            .gateway
            .capture(id::new_v7(), &intent, euros(1_250))
            .await;
        assert_eq!(answer, Ok(captured(&intent)));
        intent
    }
}

fn gateway(url: &str, key: &SecretString) -> StripeGateway {
    StripeGateway::new(&settings(url, key), &Metrics::default()).unwrap()
}

fn settings(url: &str, key: &SecretString) -> GatewaySettings {
    GatewaySettings::new(url, key, &ClientSettings::default()).unwrap()
}

fn euros(amount: i64) -> Money {
    Money::new(amount, Currency::EUR)
}

fn wanted(method: &str) -> Authorization {
    Authorization {
        payment_id: PaymentId(id::new_v7()),
        order_id: OrderId(id::new_v7()),
        amount: euros(1_250),
        payment_method: method.into(),
    }
}

fn give_back(intent: &str, amount: i64) -> GiveBack {
    GiveBack {
        payment_id: PaymentId(id::new_v7()),
        refund_id: RefundId(id::new_v7()),
        intent: intent.into(),
        amount: euros(amount),
    }
}

fn captured(intent: &str) -> IntentAnswer {
    let intent = intent.to_owned();
    IntentAnswer::Captured { intent }
}

fn is_unknown<T>(answer: &Result<T, GatewayError>) -> bool {
    matches!(answer, Err(GatewayError::Unknown(_)))
}

#[tokio::test]
async fn money_is_reserved_taken_and_given_back() {
    let line = Line::open().await;
    let intent = line.captured("pm_card_visa").await;
    assert_eq!(line.gateway.look_up(&intent).await, Ok(captured(&intent)));
    let part = line
        .gateway
        .refund(id::new_v7(), &give_back(&intent, 250))
        .await;
    assert_eq!(part, Ok(RefundAnswer::Succeeded));
    let too_much = line
        .gateway
        .refund(id::new_v7(), &give_back(&intent, 1_001))
        .await;
    assert!(matches!(too_much, Ok(RefundAnswer::Failed { .. })));
}

#[tokio::test]
async fn what_is_reserved_is_freed() {
    let line = Line::open().await;
    let intent = line.authorized("pm_card_visa").await;
    for _ in 0..2 {
        let voided = line.gateway.void(id::new_v7(), &intent).await;
        assert_eq!(voided, Ok(IntentAnswer::Voided));
    }
    let late = line
        .gateway
        .capture(id::new_v7(), &intent, euros(1_250))
        .await;
    assert_eq!(late, Ok(IntentAnswer::Voided));
}

#[tokio::test]
async fn voiding_what_was_captured_says_so() {
    let line = Line::open().await;
    let intent = line.captured("pm_card_visa").await;
    let answer = line.gateway.void(id::new_v7(), &intent).await;
    assert_eq!(answer, Ok(captured(&intent)));
}

#[tokio::test]
async fn declines_are_definite_and_carry_their_code() {
    let line = Line::open().await;
    for (method, code) in [
        ("pm_card_chargeDeclined", "card_declined"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_nobody", "resource_missing"),
    ] {
        let answer = line.gateway.authorize(id::new_v7(), &wanted(method)).await;
        let code = code.to_owned();
        assert_eq!(answer, Ok(IntentAnswer::Declined { code }), "{method}");
    }
}

#[tokio::test]
async fn a_failed_capture_is_no_decline() {
    let line = Line::open().await;
    let intent = line.authorized("pm_card_captureDeclined").await;
    let answer = line
        .gateway
        .capture(id::new_v7(), &intent, euros(1_250))
        .await;
    let code = "card_declined".to_owned();
    assert_eq!(answer, Ok(IntentAnswer::CaptureFailed { code }));
    assert_eq!(
        line.gateway.look_up(&intent).await,
        Ok(IntentAnswer::Authorized { intent })
    );
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_the_same_key_finds_it() {
    let line = Line::open().await;
    let (key, wanted) = (id::new_v7(), wanted("pm_card_visa"));
    line.knobs(Knobs {
        lose_answer_rate: 1.0,
        ..Knobs::default()
    });
    assert!(is_unknown(&line.gateway.authorize(key, &wanted).await));

    line.knobs(Knobs::default());
    let first = line.gateway.authorize(key, &wanted).await.unwrap();
    assert_eq!(line.gateway.authorize(key, &wanted).await, Ok(first));
}

#[tokio::test]
async fn a_lost_capture_took_the_money_and_can_be_looked_up() {
    let line = Line::open().await;
    let intent = line.authorized("pm_card_visa").await;
    line.knobs(Knobs {
        lose_answer_rate: 1.0,
        ..Knobs::default()
    });
    let answer = line
        .gateway
        .capture(id::new_v7(), &intent, euros(1_250))
        .await;
    assert!(is_unknown(&answer));

    line.knobs(Knobs::default());
    assert_eq!(line.gateway.look_up(&intent).await, Ok(captured(&intent)));
}

#[tokio::test]
async fn a_lost_refund_is_not_made_twice() {
    let line = Line::open().await;
    let intent = line.captured("pm_card_visa").await;
    let (key, wanted) = (id::new_v7(), give_back(&intent, 1_250));
    line.knobs(Knobs {
        lose_answer_rate: 1.0,
        ..Knobs::default()
    });
    assert!(is_unknown(&line.gateway.refund(key, &wanted).await));

    line.knobs(Knobs::default());
    let again = line.gateway.refund(key, &wanted).await;
    assert_eq!(again, Ok(RefundAnswer::Succeeded));
}

#[tokio::test]
async fn refunds_may_be_pending_or_fail() {
    let line = Line::open().await;
    let intent = line.captured("pm_card_refundFail").await;
    let failed = line
        .gateway
        .refund(id::new_v7(), &give_back(&intent, 1))
        .await;
    assert!(matches!(failed, Ok(RefundAnswer::Failed { .. })));

    let intent = line.captured("pm_card_pendingRefund").await;
    let (key, wanted) = (id::new_v7(), give_back(&intent, 1));
    let pending = line.gateway.refund(key, &wanted).await;
    assert_eq!(pending, Ok(RefundAnswer::Pending));
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        if line.gateway.refund(key, &wanted).await == Ok(RefundAnswer::Succeeded) {
            return;
        }
    }
    panic!("the refund stays pending");
}

#[tokio::test]
async fn a_broken_gateway_leaves_everything_unknown() {
    let line = Line::open().await;
    line.knobs(Knobs {
        error_rate: 1.0,
        ..Knobs::default()
    });
    let answer = line
        .gateway
        .authorize(id::new_v7(), &wanted("pm_card_visa"))
        .await;
    assert!(is_unknown(&answer));

    let key = line.sandbox.key.clone();
    let url = line.sandbox.url.clone();
    line.sandbox.stop().await;
    let answer = gateway(&url, &key)
        .authorize(id::new_v7(), &wanted("pm_card_visa"))
        .await;
    assert!(is_unknown(&answer));
}

#[tokio::test]
async fn a_wrong_key_is_for_the_operator_and_shown_to_nobody() {
    let line = Line::open().await;
    let other = gateway(&line.sandbox.url, &"sk_test_wrong".into());
    let answer = other.authorize(id::new_v7(), &wanted("pm_card_visa")).await;
    let Err(GatewayError::Unusable(reason)) = answer else {
        panic!("{answer:?}");
    };
    assert!(!reason.contains("sk_test"), "{reason}");
}

#[tokio::test]
async fn the_check_says_whether_it_can_be_used() {
    let line = Line::open().await;
    assert_eq!(line.gateway.check().await, Ok(()));
    let other = gateway(&line.sandbox.url, &"sk_test_wrong".into());
    assert!(other.check().await.is_err());
}

#[tokio::test]
async fn calls_are_counted_by_what_became_of_them() {
    let line = Line::open().await;
    let metrics = Metrics::default();
    let settings = settings(&line.sandbox.url, &line.sandbox.key);
    let gateway = StripeGateway::new(&settings, &metrics).unwrap();
    for method in ["pm_card_visa", "pm_card_chargeDeclined"] {
        let answer = gateway.authorize(id::new_v7(), &wanted(method)).await;
        assert!(answer.is_ok());
    }
    let text = metrics.encode();
    for outcome in ["success", "refused"] {
        let line =
            format!("shop_gateway_calls_total{{call=\"authorize\",outcome=\"{outcome}\"}} 1");
        assert!(text.contains(&line), "{text}");
    }
}

#[tokio::test]
async fn an_id_that_is_no_id_goes_into_no_path() {
    let line = Line::open().await;
    for id in ["", "../refunds", "pi_1?x=1", "pi 1"] {
        let answer = line.gateway.look_up(id).await;
        assert!(matches!(answer, Err(GatewayError::Unusable(_))), "{id}");
    }
}

#[tokio::test]
async fn one_lost_answer_is_asked_for_again_under_the_same_key() {
    let line = Line::open().await;
    // A call has three attempts, and ten are saved up in the budget.
    line.knobs(Knobs {
        error_rate: 0.3,
        ..Knobs::default()
    });
    let mut found = 0;
    for _ in 0..10 {
        let wanted = wanted("pm_card_visa");
        let answer = line.gateway.authorize(id::new_v7(), &wanted).await;
        found += u32::from(matches!(answer, Ok(IntentAnswer::Authorized { .. })));
    }
    assert!(
        found >= 8,
        "{found} of 10; without a second attempt it were 7 on average"
    );
}

#[tokio::test]
async fn a_gateway_that_fails_for_good_is_left_alone_for_a_while() {
    let line = Line::open().await;
    line.knobs(Knobs {
        error_rate: 1.0,
        ..Knobs::default()
    });
    let mut refused_at_once = 0;
    for _ in 0..40 {
        let wanted = wanted("pm_card_visa");
        let answer = line.gateway.authorize(id::new_v7(), &wanted).await;
        let Err(GatewayError::Unknown(reason)) = answer else {
            panic!("it answers");
        };
        refused_at_once += u32::from(reason.contains("the circuit breaker is open"));
    }
    assert!(refused_at_once > 10, "{refused_at_once}");
}
