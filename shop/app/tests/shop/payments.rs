//! Money that goes back.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::json;
use stanchion_testing::process::free_port;

use crate::support::caller::Ask;
use crate::support::process::http_client;
use crate::support::{Answer, Caller, READY_WITHIN, Shop, eventually, item, launch};

const REFUNDED_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_payment_is_refunded_in_parts_and_never_more_than_was_taken() {
    let shop = Shop::start().await;
    let (staff, ada) = (shop.staff("carol").await, shop.customer("ada").await);
    let order = ada.order(&item("MUG-BLUE", 2)).await;
    let payment = order.text_at("/payment_id");

    refund(&staff, &payment, Some(1000)).await;
    let partly = becomes(&ada, &payment, "partially_refunded").await;
    assert_eq!(partly.number_at("/refunded/amount"), 1000);

    let body = json!({"amount": 1501});
    let path = format!("/payments/{payment}/refunds");
    let too_much = staff.post(&path).key("too-much").json(&body).send().await;
    assert!(matches!(too_much.status, 409 | 422), "{}", too_much.text);

    refund(&staff, &payment, None).await;
    let whole = becomes(&ada, &payment, "refunded").await;
    assert_eq!(whole.data()["refunded"], whole.data()["amount"]);
    let more = staff
        .post(&path)
        .key("more")
        .json(&json!({"amount": 1}))
        .send()
        .await;
    assert!(matches!(more.status, 409 | 422), "{}", more.text);
}

#[tokio::test]
async fn many_refunds_at_once_give_back_what_was_taken_and_no_cent_more() {
    let shop = Shop::start().await;
    let (staff, ada) = (shop.staff("carol").await, shop.customer("ada").await);
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    let payment = order.text_at("/payment_id");
    let path = format!("/payments/{payment}/refunds");

    let refunds = (0..10).map(|n| {
        staff
            .post(&path)
            .key(&format!("r-{n}"))
            .json(&json!({"amount": 300}))
            .send()
    });
    let answers = futures_util::future::join_all(refunds).await;

    let given = answers.iter().filter(|answer| answer.status < 300).count();
    assert_eq!(given, 4, "1250 cents are four times 300 and a rest");
    let path = format!("/payments/{payment}");
    eventually("the refunds arrive", REFUNDED_WITHIN, || async {
        let payment = ada.get(&path).send().await.expect(200);
        (payment.number_at("/refunded/amount") == 1200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_same_refund_asked_twice_is_one() {
    let shop = Shop::start().await;
    let (staff, ada) = (shop.staff("carol").await, shop.customer("ada").await);
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    let payment = order.text_at("/payment_id");
    let path = format!("/payments/{payment}/refunds");
    for _ in 0..3 {
        let answer = staff
            .post(&path)
            .key("once")
            .json(&json!({"amount": 500}))
            .send()
            .await;
        assert!((200..300).contains(&answer.status), "{}", answer.text);
    }
    let partly = becomes(&ada, &payment, "partially_refunded").await;
    assert_eq!(partly.number_at("/refunded/amount"), 500);
}

#[tokio::test]
async fn a_refund_needs_a_key() {
    let shop = Shop::start().await;
    let (staff, ada) = (shop.staff("carol").await, shop.customer("ada").await);
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    let path = format!("/payments/{}/refunds", order.text_at("/payment_id"));
    let answer = staff.post(&path).json(&json!({"amount": 1})).send().await;
    answer.expect_error(400, "IDEMPOTENCY_KEY_REQUIRED");
}

#[tokio::test]
async fn an_order_refunded_in_part_and_then_cancelled_gives_back_the_rest_once() {
    let shop = Shop::start().await;
    let (staff, ada) = (shop.staff("carol").await, shop.customer("ada").await);
    let order = ada.order(&item("MUG-BLUE", 2)).await;
    let payment = order.text_at("/payment_id");
    refund(&staff, &payment, Some(700)).await;
    becomes(&ada, &payment, "partially_refunded").await;
    ada.post(&format!("/orders/{}/cancel", order.text_at("/id")))
        .send()
        .await
        .expect(200);
    let whole = becomes(&ada, &payment, "refunded").await;
    assert_eq!(whole.data()["refunded"], order.data()["total"]);
}

#[tokio::test]
async fn payments_are_listed_by_order_and_status() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let order = ada.order(&item("MUG-BLUE", 2)).await;
    ada.order(&item("MUG-BLUE", 1)).await;
    let path = format!(
        "/payments?order_id={}&status=captured",
        order.text_at("/id")
    );
    eventually("the list catches up", REFUNDED_WITHIN, || async {
        let list = ada.get(&path).send().await.expect(200);
        let rows = list.data().as_array().unwrap().clone();
        (rows.len() == 1 && rows[0]["id"] == order.data()["payment_id"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_webhook_that_the_gateway_did_not_sign_is_refused() {
    let shop = Shop::start().await;
    let event = json!({"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": {}}});
    for signature in [
        None,
        Some("t=1,v1=00"),
        Some("nonsense"),
        Some("t=99999999999,v1="),
    ] {
        let mut ask = shop.anyone().post("/payments/webhook").json(&event);
        if let Some(signature) = signature {
            ask = ask.header("stripe-signature", signature);
        }
        let answer = ask.send().await;
        assert!(
            matches!(answer.status, 400 | 401),
            "{signature:?}: {} {}",
            answer.status,
            answer.text
        );
    }
}

#[tokio::test]
async fn the_sandbox_s_webhooks_come_to_whatever_port_the_shop_got() {
    let folder = tempfile::tempdir().unwrap();
    let admin = format!("127.0.0.1:{}", free_port().unwrap());
    let settings = [
        ("SHOP__SERVER__LISTEN", "127.0.0.1:0"),
        ("SHOP__ADMIN__LISTEN", &admin),
    ];
    let launch = launch(&settings)
        .folder(folder.path())
        .ready_when(format!("http://{admin}/ready"));
    let process = launch.start(READY_WITHIN).await.unwrap();
    // It serves before it has said so.
    let base = eventually("it says where it serves", READY_WITHIN, || async {
        let banner = process.stdout();
        let mut words = banner.split_whitespace();
        let base = words.find_map(|word| word.strip_suffix("/api/v1"));
        base.map(str::to_owned)
    })
    .await;
    let mut ada = Caller::anonymous(http_client(Client::builder()), base);
    ada.register("ada").await;
    ada.order(&item("MUG-BLUE", 1)).await;

    let metrics = format!("http://{admin}/metrics");
    eventually("a webhook is taken", REFUNDED_WITHIN, || async {
        let metrics = Ask::new(&ada.http, Method::GET, metrics.clone())
            .send()
            .await;
        let taken = metrics.text.lines().any(|line| {
            line.starts_with("http_requests_total{")
                && line.contains("/payments/webhook")
                && line.contains("status=\"2")
        });
        taken.then_some(())
    })
    .await;
}

async fn refund(staff: &Caller, payment: &str, amount: Option<i64>) -> Answer {
    let body = amount.map_or_else(|| json!({}), |amount| json!({"amount": amount}));
    let key = stanchion::runtime::id::new_v7().to_string();
    let path = format!("/payments/{payment}/refunds");
    let answer = staff.post(&path).key(&key).json(&body).send().await;
    assert!((200..300).contains(&answer.status), "{}", answer.text);
    answer
}

async fn becomes(caller: &Caller, payment: &str, status: &str) -> Answer {
    let path = format!("/payments/{payment}");
    eventually(status, REFUNDED_WITHIN, || async {
        let payment = caller.get(&path).send().await.expect(200);
        (payment.text_at("/status") == status).then_some(payment)
    })
    .await
}
