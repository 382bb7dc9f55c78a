//! B8 where orders, stock and money are services of their own, over NATS and PostgreSQL: orders' worker is killed before and
//! after each commit of fulfilment, and of what takes it back. Every order ends, and stock and money agree.

use std::time::Duration;

use serde_json::Value;
use shop_cluster::Broker;
use stanchion_testing::servers::Nats;
use tokio::time::{Instant, sleep};

use crate::support::{Caller, READY_WITHIN, Shop, eventually, item, items};

/// Longer than an order takes that is killed once, with every wait there is.
const ENDED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// What comes after all was done, such as a late answer that is only noted, comes within this.
const LAST_WITHIN: Duration = Duration::from_secs(2);
/// More steps than an order has.
const STEPS_MAX: usize = 20;

const WORKER: &str = "orders-worker";
const DIE: &str = "SHOP_DIE_AT_FULFILMENT";

/// Leases and deliveries of who was killed come back soon.
const SOON: [(&str, &str); 2] = [
    ("SHOP__BROKER__NATS__ACK_WAIT", "3s"),
    ("SHOP__BROKER__RELAY_LEASE", "2s"),
];

#[tokio::test]
async fn an_order_that_is_fulfilled() {
    killed_at_each_step_of(item("MUG-BLUE", 1), "confirmed", 4).await;
}

#[tokio::test]
async fn an_order_whose_payment_is_declined() {
    let order = items(&[("MUG-BLUE", 1)], "pm_card_chargeDeclined");
    killed_at_each_step_of(order, "rejected", 3).await;
}

/// An order that ends so, and has at least so many points of death.
async fn killed_at_each_step_of(order: Value, ends: &str, points: usize) {
    let Some(nats) = Nats::required() else {
        return;
    };
    let broker = Broker::At(nats.url());
    let Some(mut shop) = Shop::start_in_services_with(broker, &SOON, &[]).await else {
        return;
    };
    shop.stocked().await;
    let ada = shop.customer("ada").await;
    for when in ["before", "after"] {
        let mut step = 1;
        while dies(&mut shop, &ada, (&order, ends), &format!("{when} {step}")).await {
            step += 1;
            assert!(step < STEPS_MAX, "it never comes to an end");
        }
        assert!(step > points, "only {step} points of death {when} a commit");
    }
    shop.adds_up(ENDED_WITHIN).await;
}

/// Lives through an order with a worker that dies at that point; false if the order has no such point.
async fn dies(shop: &mut Shop, ada: &Caller, (order, ends): (&Value, &str), at: &str) -> bool {
    restart(shop, at).await;
    let id = ada.place(order).await.text_at("/id");
    let is_over = async || ada.see_order(&id).await.text_at("/status") == ends;
    let (begun, mut died) = (Instant::now(), false);
    // What comes after the customer knows has points of death as well.
    while !(died || (is_over().await && has_ended(shop, &id).await)) {
        let waited = begun.elapsed();
        assert!(waited < ENDED_WITHIN, "{at}: neither dead nor {ends}");
        sleep(LOOK_AGAIN).await;
        died = is_dead(shop);
    }
    if !died {
        sleep(LAST_WITHIN).await;
        died = is_dead(shop);
    }
    if died {
        restart(shop, "").await;
        eventually(at, ENDED_WITHIN, || async { is_over().await.then_some(()) }).await;
    }
    nothing_is_under_way(shop, at).await;
    died
}

fn is_dead(shop: &mut Shop) -> bool {
    let services = shop.services.as_mut().unwrap();
    services.ended().unwrap().is_some()
}

/// Whether fulfilment of that order has come to its end.
async fn has_ended(shop: &Shop, id: &str) -> bool {
    let path = format!("/processes/orders/fulfilment/{id}");
    let shown = shop.fetch_admin_of("orders-api", &path).send().await;
    shown.json()["state"] == "ended"
}

/// The worker anew, to die there.
async fn restart(shop: &mut Shop, at: &str) {
    let worker = shop.services.as_mut().unwrap().service(WORKER).unwrap();
    worker.kill().unwrap();
    worker.set(DIE, at);
    worker.spawn().unwrap();
    worker.ready(READY_WITHIN * 2).await.unwrap();
}

async fn nothing_is_under_way(shop: &Shop, at: &str) {
    let services = shop.services.as_ref().unwrap().services();
    let worker = services.iter().find(|one| one.name() == WORKER).unwrap();
    let what = format!("{at}: every instance has ended");
    eventually(&what, ENDED_WITHIN, || async {
        let listed = shop.fetch_at(worker.admin(), "/processes").try_send().await;
        let listed = listed.ok()?.data();
        listed.as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
}
