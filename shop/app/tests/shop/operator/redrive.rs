//! A log that is announced again, because an operator says so.

use std::time::Duration;

use stanchion_testing::servers::Nats;

use crate::support::{Shop, eventually, item};

const WITHIN: Duration = Duration::from_secs(20);

/// The store is this process's own: the running shop is asked, through its admin port.
#[tokio::test]
async fn a_log_is_announced_again_to_the_broker_and_nothing_is_done_twice() {
    let Some(nats) = Nats::required() else {
        return;
    };
    let url = nats.url();
    let settings = [
        ("SHOP__BROKER__URL", url.as_str()),
        ("SHOP__ADMIN__TOKEN", "the operator's word"),
    ];
    let shop = Shop::start_with(&settings).await;
    let ada = shop.customer("ada").await;
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    assert_eq!(order.text_at("/status"), "confirmed");
    let stock = ada.stock("MUG-BLUE").await;

    let told = shop
        .operate(&["redrive", "--log", "orders", "--from", "1"])
        .await;
    told.expect(0)
        .says(&["the relay of orders announces its log again from 1 to the end"]);
    let first = repeated(&shop, 1).await;
    // Recorded within the last hour is everything.
    let told = shop
        .operate(&[
            "redrive",
            "--log",
            "orders",
            "--last",
            "1h",
            "--through",
            "2",
        ])
        .await;
    told.expect(0).says(&["again from 1 through 2"]);
    repeated(&shop, first + 1).await;

    shop.adds_up(WITHIN).await;
    assert_eq!(ada.stock("MUG-BLUE").await, stock);
    let order = ada.see_order(&order.text_at("/id")).await;
    assert_eq!(order.text_at("/status"), "confirmed");
    let told = shop
        .operate(&["redrive", "--log", "identity", "--from", "1"])
        .await;
    told.expect(0)
        .says(&["the relay of identity announces its log again from 1"]);
}

/// Who follows a log reads it where it lies.
#[tokio::test]
async fn without_a_broker_there_is_nothing_to_announce_again() {
    let shop = Shop::start().await;
    for (arguments, why) in [
        (
            &["--log", "orders", "--from", "1"][..],
            "announces its log to no broker",
        ),
        (&["--log", "nobody", "--from", "1"], "no module `nobody`"),
        (&["--log", "orders"], "--from"),
    ] {
        let told = shop.operate(&[&["redrive"], arguments].concat()).await;
        told.expect(2).says(&[why]);
    }
}

/// How many messages of orders were announced again, once they are so many.
async fn repeated(shop: &Shop, at_least: u64) -> u64 {
    eventually("the log is announced again", WITHIN, || async {
        let asked = shop.fetch_admin("/metrics");
        let asked = asked.header("authorization", "Bearer the operator's word");
        let metrics = asked.send().await;
        let text = metrics.expect(200).text;
        let mut lines = text.lines().filter(|line| {
            line.starts_with("stanchion_relay_messages_total")
                && line.contains("context=\"orders\"")
                && line.contains("outcome=\"repeated\"")
        });
        let count: u64 = lines.next()?.rsplit(' ').next()?.parse().ok()?;
        (count >= at_least).then_some(count)
    })
    .await
}
