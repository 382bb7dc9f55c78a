//! The operator's hand on fulfilment: what is under way, and having one order stand still, go on, and ask again.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value;
use shop_sandbox::{Knobs, Running, Sandbox, Settings};

use crate::support::{READY_WITHIN, Shop, eventually, item};

/// Longer than a message that waited for a paused instance waits on.
const GOES_ON_WITHIN: Duration = Duration::from_secs(60);

/// How long the gateway takes: an operator's commands are as many processes, which a busy machine starts one after the other.
const LATENCY: Duration = Duration::from_secs(12);

/// Longer than an instance takes that goes on when its answer is there.
const A_WHILE: Duration = Duration::from_secs(1);

/// A gateway that takes its time, and the shop that pays there.
async fn paying_late() -> (Running, Shop) {
    let gateway = Sandbox::start(Settings {
        knobs: slow(LATENCY),
        ..Settings::default()
    });
    let gateway = gateway.await.unwrap();
    let shop = Shop::start_with(&[
        ("SHOP__PAYMENTS__GATEWAY_URL", gateway.url.as_str()),
        ("SHOP__PAYMENTS__GATEWAY_KEY", gateway.key.expose_secret()),
        // Its answer is waited for.
        ("SHOP__PAYMENTS__GATEWAY__POLICY__TIMEOUT", "25s"),
        (
            "SHOP__PAYMENTS__WEBHOOK_SECRET",
            gateway.webhook_secret.expose_secret(),
        ),
    ])
    .await;
    (gateway, shop)
}

fn slow(latency: Duration) -> Knobs {
    Knobs {
        latency_ms: u64::try_from(latency.as_millis()).unwrap(),
        ..Knobs::default()
    }
}

async fn shown(shop: &Shop, id: &str) -> Value {
    let shown = shop.operate(&["processes", "show", id]).await.expect(0);
    serde_json::from_str(&shown.out).unwrap()
}

#[tokio::test]
async fn one_order_stands_still_while_others_go_on_until_it_is_told_to() {
    let (gateway, shop) = paying_late().await;
    let none = shop.operate(&["processes", "list"]).await.expect(0);
    assert_eq!(
        (none.out.as_str(), none.err.contains("no instance")),
        ("", true)
    );
    let ada = shop.customer("ada").await;
    let id = ada.place(&item("MUG-BLUE", 1)).await.text_at("/id");
    eventually("it is listed", READY_WITHIN, || async {
        let listed = shop.operate(&["processes", "list"]).await.expect(0);
        let waits = listed.out.contains(&id) && listed.out.contains("authorize_payment");
        waits.then_some(())
    })
    .await;
    let pause = ["processes", "pause", &id, "--reason", "a look"];
    shop.operate(&pause).await.expect(0).says(&["paused", &id]);

    gateway.set_knobs(slow(Duration::ZERO)).unwrap();
    let other = ada.order(&item("MUG-BLUE", 1)).await;
    assert_eq!(other.text_at("/status"), "confirmed");
    eventually("the gateway's answer is there", GOES_ON_WITHIN, || async {
        let held = ada.get("/payments?status=authorized").send().await;
        let held = held.expect(200).data();
        (held[0]["order_id"] == id.as_str()).then_some(())
    })
    .await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(ada.see_order(&id).await.text_at("/status"), "pending");
    let paused = shown(&shop, &id).await;
    let path = format!("/processes/orders/fulfilment/{id}");
    let there = shop.fetch_admin(&path).send().await.expect(200);
    assert_eq!(there.json(), paused, "the admin port says the same");
    assert_eq!(paused["state"], "paused");
    assert_eq!(paused["step"], "authorize_payment");
    assert_eq!(paused["steps"].as_array().unwrap().len(), 4);
    let registered = [Value::from("release_stock"), Value::from("cancel_payment")];
    assert_eq!(paused["compensations"].as_array().unwrap(), &registered);
    let listed = shop
        .operate(&["processes", "list", "--state", "paused"])
        .await;
    listed
        .expect(0)
        .says(&[&id, "v1", "paused", "authorize_payment"]);

    shop.operate(&["processes", "resume", &id])
        .await
        .expect(0)
        .says(&["goes on"]);
    eventually("it goes on", GOES_ON_WITHIN, || async {
        let status = ada.see_order(&id).await.text_at("/status");
        (status == "confirmed").then_some(())
    })
    .await;
    let ended = shown(&shop, &id).await;
    assert_eq!(
        (&ended["state"], &ended["step"]),
        (&"ended".into(), &"fulfilled".into())
    );
    let history = ended["history"].as_array().unwrap().iter();
    let happened: Vec<_> = history.map(|it| it["event"].as_str().unwrap()).collect();
    assert_eq!(
        happened,
        [
            "fulfilment_started",
            "stock_held",
            "process_paused",
            "process_resumed",
            "payment_authorized",
            "stock_committed",
            "payment_captured",
        ]
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_step_is_asked_for_again_and_a_slip_of_the_pen_is_told() {
    let (gateway, shop) = paying_late().await;
    let ada = shop.customer("ada").await;
    let id = ada.place(&item("MUG-BLUE", 1)).await.text_at("/id");
    eventually("it waits for the gateway", READY_WITHIN, || async {
        let listed = shop.operate(&["processes", "list"]).await.expect(0);
        listed.out.contains("authorize_payment").then_some(())
    })
    .await;
    let restart =
        |step: &'static str| ["processes", "restart", &id, "--from", step].map(str::to_owned);
    let operate = async |words: [String; 5]| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        shop.operate(&words).await
    };
    let elsewhere = operate(restart("capture_payment")).await;
    elsewhere.expect(1).says(&["it is at `authorize_payment`"]);
    operate(restart("authorize_payment"))
        .await
        .expect(0)
        .says(&["restarted"]);
    gateway.set_knobs(slow(Duration::ZERO)).unwrap();
    eventually("it is paid once", GOES_ON_WITHIN, || async {
        let status = ada.see_order(&id).await.text_at("/status");
        (status == "confirmed").then_some(())
    })
    .await;
    let over = operate(restart("authorize_payment")).await;
    over.expect(1).says(&["it ended: fulfilled"]);
    for (words, code, told) in [
        (
            &["processes", "show", "nobody"][..],
            1,
            "there is no instance nobody",
        ),
        (
            &["processes", "pause", "nobody"][..],
            1,
            "there is no instance nobody",
        ),
        (
            &["processes", "list", "--process", "nobody"][..],
            2,
            "there are: fulfilment",
        ),
        (
            &["processes", "list", "--state", "odd"][..],
            2,
            "running, compensating or paused",
        ),
        (&["processes", "restart", "nobody"][..], 2, "--from"),
    ] {
        shop.operate(words).await.expect(code).says(&[told]);
    }
    gateway.stop().await;
}
