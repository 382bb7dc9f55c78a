//! Static stability: a service whose others are missing starts, serves what it can, says what it lacks, and recovers by
//! itself.

use std::time::Duration;

use serde_json::Value;
use shop_cluster::{Broker, GATEWAY};
use stanchion_kafka::StandIn;
use stanchion_testing::servers::{Nats, RabbitMq, Redis};

use crate::support::{READY_WITHIN, Shop, eventually, item};

const RECOVERED_WITHIN: Duration = Duration::from_secs(30);

/// What `/ready` of a service says.
async fn readiness(shop: &Shop, service: &str) -> Value {
    let services = shop.services.as_ref().unwrap().services();
    let service = services.iter().find(|one| one.name() == service).unwrap();
    let ready = shop.fetch_at(service.admin(), "/ready").send().await;
    ready.expect(200).json()
}

/// Waits until `/ready` of a service says this and lacks just these.
async fn lacks(shop: &Shop, service: &str, missing: &[&str]) {
    let word = if missing.is_empty() {
        "ready"
    } else {
        "degraded"
    };
    let what = format!("{service} is {word}, without {missing:?}");
    eventually(&what, RECOVERED_WITHIN, || async {
        let ready = readiness(shop, service).await;
        let checks = ready["checks"].as_object().unwrap().iter();
        let failed = checks.filter(|(_, check)| check["status"] != "healthy");
        let failed: Vec<&str> = failed.map(|(name, _)| name.as_str()).collect();
        (ready["status"] == word && failed == missing).then_some(())
    })
    .await;
}

#[tokio::test]
async fn services_start_without_identity_and_inventory_and_recover_when_these_come() {
    let absent = ["identity", "inventory"];
    let Some(mut shop) = Shop::start_in_services_with(Broker::None, &[], &absent).await else {
        return;
    };
    lacks(&shop, "orders-api", &["identity", "inventory"]).await;
    lacks(&shop, "payments-api", &["identity"]).await;
    let mut stranger = shop.anyone();
    stranger.get("/orders").send().await.expect(401);
    // Nobody's keys are known yet, so nobody can be told from a forger.
    stranger.token = "whoever".into();
    stranger.get("/orders").send().await.expect(503);

    shop.restart().await;
    shop.stocked().await;
    lacks(&shop, "orders-api", &[]).await;
    lacks(&shop, "payments-api", &[]).await;
    let ada = shop.customer("ada").await;
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    assert_eq!(order.text_at("/status"), "confirmed");
}

#[tokio::test]
async fn while_identity_is_out_its_customers_are_known_elsewhere() {
    let Some(mut shop) = Shop::start_in_services(Broker::None).await else {
        return;
    };
    let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    let path = format!("/orders/{}", order.text_at("/id"));

    shop.services
        .as_mut()
        .unwrap()
        .kill_one("identity")
        .unwrap();
    lacks(&shop, "orders-api", &["identity"]).await;
    ada.get(&path).send().await.expect(200);
    // Bob's session was never asked for there: his token counts as it is signed.
    bob.get(&path).send().await.expect(404);
    bob.get("/products").send().await.expect(200);
    let mut forger = shop.anyone();
    forger.token = format!("{}x", ada.token);
    forger.get("/orders").send().await.expect(401);
    // What would be sealed for a customer cannot be: no order, and no half of one.
    let refused = bob.post("/orders").key("k").json(&item("MUG-BLUE", 1));
    refused.send().await.expect_error(503, "UNAVAILABLE");

    shop.restart().await;
    lacks(&shop, "orders-api", &[]).await;
    let order = bob.order(&item("MUG-BLUE", 1)).await;
    assert_eq!(order.text_at("/status"), "confirmed");
    let orders = ada.get("/orders").send().await.expect(200);
    assert_eq!(orders.meta()["total"], 1);
}

#[tokio::test]
async fn services_start_without_nats_and_orders_go_on_when_it_comes() {
    let Some(mut nats) = Nats::required() else {
        return;
    };
    nats.kill().unwrap();
    without_a_broker(Broker::At(nats.url()), || nats.restart()).await;
}

#[tokio::test]
async fn services_start_without_rabbitmq_and_orders_go_on_when_it_comes() {
    let Some(mut rabbit) = RabbitMq::required() else {
        return;
    };
    rabbit.kill().unwrap();
    let broker = Broker::At(rabbit.url().to_owned());
    without_a_broker(broker, || rabbit.restart()).await;
}

/// What stands in for Kafka; a real one cannot be had here.
#[tokio::test(flavor = "multi_thread")]
async fn services_start_without_kafka_and_orders_go_on_when_it_comes() {
    let kafka = StandIn::start().await.unwrap();
    kafka.kill();
    let comes = || {
        kafka.restart();
        Ok(())
    };
    without_a_broker(Broker::At(kafka.url()), comes).await;
}

async fn without_a_broker(broker: Broker, comes: impl FnOnce() -> anyhow::Result<()>) {
    let Some(shop) = Shop::start_in_services_with(broker, &[], &[]).await else {
        return;
    };
    shop.stocked().await;
    lacks(&shop, "orders-api", &["broker"]).await;
    let ada = shop.customer("ada").await;
    let placed = ada.place(&item("MUG-BLUE", 1)).await;
    let id = placed.text_at("/id");
    assert_eq!(ada.see_order(&id).await.text_at("/status"), "pending");

    comes().unwrap();
    eventually("the order is confirmed", 2 * READY_WITHIN, || async {
        let order = ada.see_order(&id).await;
        (order.text_at("/status") == "confirmed").then_some(())
    })
    .await;
    for service in ["orders-api", "orders-worker", "payments-worker"] {
        lacks(&shop, service, &[]).await;
    }
}

#[tokio::test]
async fn services_start_without_their_cache_and_use_it_when_it_comes() {
    let Some(mut redis) = Redis::required() else {
        return;
    };
    redis.kill().unwrap();
    let url = redis.url();
    let settings = [("SHOP__CACHE__URL", url.as_str())];
    let Some(shop) = Shop::start_in_services_with(Broker::None, &settings, &[]).await else {
        return;
    };
    shop.stocked().await;
    let everywhere = ["identity-api", "inventory-api", "orders-worker"];
    for service in everywhere {
        lacks(&shop, service, &["cache"]).await;
    }
    // Attempts are counted by each process alone, products are kept by each alone.
    let ada = shop.customer("ada").await;
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    assert_eq!(order.text_at("/status"), "confirmed");

    redis.restart().unwrap();
    for service in everywhere {
        lacks(&shop, service, &[]).await;
    }
    eventually("a product is kept there", RECOVERED_WITHIN, || async {
        // Changed, so that it is loaded anew.
        let order = ada.order(&item("MUG-BLUE", 1)).await;
        assert_eq!(order.text_at("/status"), "confirmed");
        ada.get("/products/MUG-BLUE").send().await.expect(200);
        let kept = redis.command("KEYS *:cache*").unwrap();
        (!kept.starts_with("*0\r\n")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_order_waits_for_a_gateway_that_was_missing_at_start() {
    let Some(mut shop) = Shop::start_in_services_with(Broker::None, &[], &[GATEWAY]).await else {
        return;
    };
    shop.stocked().await;
    lacks(&shop, "payments-worker", &["gateway"]).await;
    let ada = shop.customer("ada").await;
    let placed = ada.place(&item("MUG-BLUE", 1)).await;
    assert_eq!(placed.text_at("/status"), "pending");

    shop.restart().await;
    let id = placed.text_at("/id");
    eventually("the order is confirmed", READY_WITHIN, || async {
        let order = ada.see_order(&id).await;
        (order.text_at("/status") == "confirmed").then_some(())
    })
    .await;
    lacks(&shop, "payments-worker", &[]).await;
}
