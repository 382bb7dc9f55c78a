//! What is kept near, in this process and in Redis: never older than a write that was answered, and Redis is nothing to wait for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use futures_util::future::join_all;
use serde_json::json;
use shop_cluster::Broker;
use stanchion_testing::proxy::FaultProxy;
use stanchion_testing::servers::Redis;

use crate::support::{Caller, Shop, eventually, item};

const SKU: &str = "MUG-BLUE";
const NOTICED_WITHIN: Duration = Duration::from_secs(15);
/// Milliseconds, but for a machine that has other things to do.
const SEEN_WITHIN: Duration = Duration::from_secs(3);
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// What Redis may add to the slowest of a hundred looks.
const ADDED_MAX: Duration = Duration::from_millis(20);

#[tokio::test]
async fn who_reads_after_a_write_reads_it_however_many_read_meanwhile() {
    let shop = Shop::start().await;
    written_and_read(&shop).await;
}

#[tokio::test]
async fn the_same_with_redis_and_what_is_near_is_asked_of_no_store() {
    let Some(redis) = Redis::required() else {
        return;
    };
    let shop = with_redis(&redis.url()).await;
    written_and_read(&shop).await;
    let before = lookups(&shop, "local").await;
    for _ in 0..50 {
        shop.anyone()
            .get("/products/MILK-JUG")
            .send()
            .await
            .expect(200);
    }
    assert!(lookups(&shop, "local").await >= before + 45.0);
    eventually(
        "Redis has heard of every change",
        NOTICED_WITHIN,
        || async {
            let owed = metric(&shop, "cache_invalidations_owed{").await;
            (owed.abs() < 0.5).then_some(())
        },
    )
    .await;
}

async fn with_redis(url: &str) -> Shop {
    let shop = Shop::start_with(&[("SHOP__CACHE__URL", url)]).await;
    ready(&shop).await;
    shop
}

/// One changes the price, eight look: after an answered change nobody is given what was before.
async fn written_and_read(shop: &Shop) {
    let staff = shop.staff("wendy").await;
    let over = AtomicBool::new(false);
    let path = format!("/products/{SKU}");
    let look = || async {
        let mut last = 0;
        while !over.load(Ordering::Relaxed) {
            let seen = shop.anyone().get(&path).send().await.expect(200);
            let version = seen.number_at("/version");
            assert!(version >= last, "{version} after {last}");
            last = version;
        }
    };
    let write = async {
        for cents in 1_000..1_050 {
            let price = json!({"price": {"amount": cents, "currency": "EUR"}});
            let written = staff.patch(&path).json(&price).send().await.expect(200);
            let read = shop.anyone().get(&path).send().await.expect(200);
            assert_eq!(read.number_at("/price/amount"), cents);
            assert_eq!(read.number_at("/version"), written.number_at("/version"));
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(write, join_all((0..8).map(|_| look())));
    // Orders are priced by the same.
    let order = staff.order(&item(SKU, 2)).await;
    assert_eq!(order.number_at("/total/amount"), 2 * 1_049);
    let gone = staff.delete(&path).send().await;
    gone.expect(204);
    shop.anyone()
        .get(&path)
        .send()
        .await
        .expect_error(404, "PRODUCT_NOT_FOUND");
}

#[tokio::test]
async fn a_redis_that_is_gone_or_silent_costs_no_error_and_hardly_any_time() {
    let Some(mut redis) = Redis::required() else {
        return;
    };
    let proxy = FaultProxy::start(redis.address()).unwrap();
    let shop = with_redis(&format!("redis://{}", proxy.address())).await;
    let staff = shop.staff("sue").await;
    let calm = slowest(&staff).await;
    // Nothing is closed, nothing answers.
    proxy.stall(true);
    costs_little(&staff, "silent", calm).await;
    degraded(&shop).await;
    proxy.stall(false);
    ready(&shop).await;
    redis.kill().unwrap();
    costs_little(&staff, "gone", calm).await;
    degraded(&shop).await;
    redis.restart().unwrap();
    written_and_read(&shop).await;
}

/// D6: it starts, serves, says what it lacks, and uses it when it comes.
#[tokio::test]
async fn a_redis_that_is_not_there_at_the_start_is_nothing_to_wait_for() {
    let Some(mut redis) = Redis::required() else {
        return;
    };
    let url = redis.url();
    redis.kill().unwrap();
    let shop = Shop::start_with(&[("SHOP__CACHE__URL", &url)]).await;
    degraded(&shop).await;
    let ada = shop.customer("ada").await;
    let order = ada.order(&item(SKU, 1)).await;
    assert_eq!(order.text_at("/status"), "confirmed");
    redis.restart().unwrap();
    ready(&shop).await;
    written_and_read(&shop).await;
}

/// On a machine that has other things to do, the best of three rounds counts: others only add.
async fn costs_little(staff: &Caller, what: &str, calm: Duration) {
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let slow = slowest(staff).await;
        println!("Redis {what}: {slow:?}, with it {calm:?}");
        rounds.push(slow);
    }
    let best = rounds.into_iter().min().unwrap();
    assert!(
        best <= calm + ADDED_MAX,
        "{what}: {best:?} instead of {calm:?}"
    );
}

/// The 99th of a hundred looks, each after a change for every tenth: no answer may be wrong.
async fn slowest(staff: &Caller) -> Duration {
    let path = format!("/products/{SKU}");
    let mut took = Vec::new();
    for nth in 0..100 {
        if nth % 10 == 0 {
            let delivery = json!({"delta": 1, "reason": "delivery"});
            let stock = staff.post(&format!("{path}/stock")).json(&delivery);
            let stocked = stock.send().await.expect(200).number_at("/available");
            assert_eq!(staff.stock(SKU).await, stocked);
        }
        let begun = Instant::now();
        staff.get(&path).send().await.expect(200);
        took.push(begun.elapsed());
    }
    took.sort();
    took[98]
}

async fn ready(shop: &Shop) {
    eventually("the tier is there", NOTICED_WITHIN, || async {
        let ready = shop.fetch("/ready").send().await.expect(200).json();
        (ready["status"] == "ready").then_some(())
    })
    .await;
}

async fn degraded(shop: &Shop) {
    eventually("/ready says so", NOTICED_WITHIN, || async {
        let ready = shop.fetch("/ready").send().await.expect(200).json();
        let check = ready["checks"]["cache"]["status"]
            .as_str()
            .unwrap_or_default();
        (ready["status"] == "degraded" && check.starts_with("unhealthy")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn in_several_processes_what_one_has_changed_the_others_soon_see_with_redis_and_without() {
    let Some(mut redis) = Redis::required() else {
        return;
    };
    let url = redis.url();
    let settings = [("SHOP__CACHE__URL", url.as_str())];
    let shop = Shop::start_in_services_with(Broker::None, &settings, &[]).await;
    let Some(shop) = shop else {
        return;
    };
    shop.stocked().await;
    let staff = shop.staff("sue").await;
    for with_redis in [true, false] {
        if !with_redis {
            redis.kill().unwrap();
        }
        for _ in 0..5 {
            let before = staff.stock(SKU).await;
            // Held by the worker of inventory, shown by the process that serves.
            let order = staff.place(&item(SKU, 1)).await.text_at("/id");
            eventually("it is confirmed", SETTLED_WITHIN, || async {
                let seen = staff.see_order(&order).await;
                (seen.text_at("/status") == "confirmed").then_some(())
            })
            .await;
            eventually("the stock is seen", SEEN_WITHIN, || async {
                (staff.stock(SKU).await == before - 1).then_some(())
            })
            .await;
        }
    }
}

async fn lookups(shop: &Shop, outcome: &str) -> f64 {
    let name = format!("cache_lookups_total{{cache=\"products\",outcome=\"{outcome}\"}}");
    metric(shop, &name).await
}

async fn metric(shop: &Shop, name: &str) -> f64 {
    let metrics = shop.fetch_admin("/metrics").send().await.expect(200).text;
    let line = metrics.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in\n{metrics}"))
}
