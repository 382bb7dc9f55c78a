//! Tables made of the logs: looked at, paused, verified, made anew, beside a running shop.

use serde_json::Value;
use stanchion::sql::{DatabaseSettings, Db, params};

use super::AT_ONCE;
use crate::support::{Answer, Caller, STOPPED_WITHIN, Shop, eventually, item, on_both_stores};

const ORDERS: &str = "orders/order_summaries";

on_both_stores!(
    one_is_paused_resumed_verified_and_rebuilt_while_orders_go_on,
    one_that_halted_is_told_everywhere_and_mended_by_a_rebuild,
);

async fn one_is_paused_resumed_verified_and_rebuilt_while_orders_go_on(shop: Shop) {
    let ada = shop.customer("ada").await;
    let list = shop.operate(&["projections"]).await.expect(0);
    let names: Vec<_> = list
        .out
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let all = [
        "inventory/products",
        ORDERS,
        "orders/process_instances",
        "payments/payments",
        "payments/ledger_entries",
    ];
    assert_eq!((names.as_slice(), list.err.as_str()), (&all[..], ""));

    let paused = shop
        .operate(&["projections", "pause", "order_summaries"])
        .await
        .expect(0);
    assert_eq!(paused.out, format!("paused: {ORDERS}\n"));
    let first = ada.order(&item("MUG-BLUE", 1)).await;
    assert_eq!(first.text_at("/status"), "confirmed", "all else goes on");
    assert_eq!(listed(&ada, None).await.meta()["total"], 0);
    let late = with_token(&ada, &token(&first)).header("x-request-timeout", "300ms");
    late.send().await.expect_error(504, "DEADLINE_EXCEEDED");
    let paused = shop.operate(&["projections"]).await.expect(0);
    assert!(line(&paused.out, ORDERS).contains("paused"), "{paused:?}");
    assert!(!line(&paused.out, ORDERS).contains(" lag 0 "), "{paused:?}");
    eventually("the metric says so", STOPPED_WITHIN, || async {
        let metrics = shop.fetch_admin("/metrics").send().await.text;
        let paused =
            r#"stanchion_projection_paused{module="orders",projection="order_summaries"} 1"#;
        metrics.contains(paused).then_some(())
    })
    .await;

    shop.operate(&["projections", "resume", ORDERS])
        .await
        .expect(0);
    let all = listed(&ada, Some(&token(&first))).await;
    assert_eq!(all.meta()["total"], 1);

    for name in ["products", "order_summaries", "ledger_entries"] {
        let verified = shop.operate(&["projections", "verify", name]).await;
        verified
            .expect(0)
            .says(&["holds", "rows are what the log says"]);
    }
    let rebuild = ["projections", "rebuild", "order_summaries"];
    let ordering = async {
        let mut last = first;
        for _ in 0..5 {
            last = ada.order(&item("MUG-BLUE", 1)).await;
        }
        last
    };
    let (rebuilt, last) = tokio::join!(shop.operate(&rebuild), ordering);
    rebuilt
        .expect(0)
        .says(&["rebuilt: orders/order_summaries up to"]);
    let all = listed(&ada, Some(&token(&last))).await;
    assert_eq!(all.meta()["total"], 6);
    let verified = shop.operate(&["projections", "verify", ORDERS]).await;
    verified.expect(0).says(&["holds"]);
    let told = eventually("it follows", STOPPED_WITHIN, || async {
        let told = shop.operate(&["projections"]).await.expect(0);
        let told = line(&told.out, ORDERS).to_owned();
        told.contains("following").then_some(told)
    })
    .await;
    assert!(told.contains("last verify: verified"), "{told}");

    let wrong = shop.operate(&["projections", "pause", "order_list"]).await;
    wrong.expect(2).says(&["`order_list`", ORDERS]);
}

/// The row is made wrong by hand: the next order takes its number below zero, which the table refuses.
async fn one_that_halted_is_told_everywhere_and_mended_by_a_rebuild(mut shop: Shop) {
    let ada = shop.customer("ada").await;
    let staff = shop.staff("bob").await;
    tamper(&mut shop).await;
    let verify = ["projections", "verify", "products"];
    let told = shop.operate(&verify).await.expect(1);
    told.says(&["products MUG-BLUE", "should be", "1 of 12 rows"]);

    ada.order(&item("MUG-BLUE", 1)).await;
    let ready = eventually("it halts", STOPPED_WITHIN, || async {
        let ready = shop.fetch("/ready").send().await.expect(200).json();
        (ready["status"] == "degraded").then_some(ready)
    })
    .await;
    let check = &ready["checks"]["projection/products"]["status"];
    assert!(
        check.as_str().unwrap().contains("halted at position"),
        "{ready}"
    );
    let told = shop.operate(&["projections"]).await.expect(0);
    let told = line(&told.out, "inventory/products").to_owned();
    assert!(told.contains("halted"), "{told}");

    let delivery = serde_json::json!({"delta": 1, "reason": "delivery"});
    let stocked = staff.post("/products/KETTLE/stock").json(&delivery);
    let token = token(&stocked.send().await.expect(200));
    let early = tokio::time::Instant::now();
    let list = staff
        .get("/products")
        .header("consistency-token", &token)
        .send()
        .await;
    list.expect_error(503, "UNAVAILABLE");
    let waited = early.elapsed().as_secs();
    assert!(waited < 10, "after {waited} s: the request's time is 30");

    let rebuild = ["projections", "rebuild", "products"];
    shop.operate(&rebuild).await.expect(0);
    let list = staff
        .get("/products")
        .header("consistency-token", &token)
        .send()
        .await;
    list.expect(200);
    eventually("it is ready again", STOPPED_WITHIN, || async {
        let ready: Value = shop.fetch("/ready").send().await.expect(200).json();
        (ready["status"] == "ready").then_some(())
    })
    .await;
    shop.operate(&verify)
        .await
        .expect(0)
        .says(&["holds: 12 rows"]);
}

#[tokio::test]
async fn of_a_stopped_embedded_shop_they_are_told_and_verified_but_not_changed() {
    let mut shop = Shop::start_with(&[AT_ONCE]).await;
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();
    let told = shop.operate(&["projections"]).await.expect(0);
    assert_eq!(told.out.lines().count(), 5, "{told:?}");
    let nobody = format!("no service answers on {}", shop.admin_address);
    told.says(&["inventory/products", "not_run_here", " lag 0 ", &nobody]);
    let verified = shop.operate(&["projections", "verify", "products"]).await;
    verified.expect(0).says(&["holds: 12 rows"]);
    let refused = shop.operate(&["projections", "pause", "products"]).await;
    refused.expect(1).says(&[&nobody, "Start the service"]);
}

/// On PostgreSQL an operator needs no shop for it, and the next one obeys.
#[tokio::test]
async fn on_postgres_one_is_paused_and_rebuilt_from_anywhere() {
    let Some(mut shop) = Shop::start_on_postgres().await else {
        return;
    };
    shop.process.kill().unwrap();
    for command in ["pause", "verify", "rebuild"] {
        let done = shop.operate(&["projections", command, "products"]).await;
        done.expect(0).says(&["inventory/products"]);
    }
    shop.restart().await;
    let told = shop.operate(&["projections"]).await.expect(0);
    let told = line(&told.out, "inventory/products").to_owned();
    assert!(told.contains("paused"), "{told}");
}

/// Says of the blue mug that there is none left. An embedded store is its shop's as long as that runs.
async fn tamper(shop: &mut Shop) {
    shop.process.kill().unwrap();
    let db = Db::open(shop.stores(), "inventory", &DatabaseSettings::default())
        .await
        .unwrap();
    let sql = "update products set available = 0 where sku = $1";
    assert_eq!(db.exec(sql, params!["MUG-BLUE"]).await.unwrap(), 1);
    db.close().await;
    shop.restart().await;
}

fn token(answer: &Answer) -> String {
    let token = &answer.meta()["consistency_token"];
    token.as_str().unwrap().to_owned()
}

fn with_token(caller: &Caller, token: &str) -> crate::support::caller::Ask {
    caller.get("/orders").header("consistency-token", token)
}

async fn listed(caller: &Caller, token: Option<&str>) -> Answer {
    let ask = match token {
        Some(token) => with_token(caller, token),
        None => caller.get("/orders"),
    };
    ask.send().await.expect(200)
}

/// What is said of this projection.
#[track_caller]
fn line<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find(|line| line.starts_with(name));
    line.unwrap_or_else(|| panic!("nothing of {name} in\n{text}"))
}
