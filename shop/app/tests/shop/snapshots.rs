//! States that are kept beside long streams: a short cut, and harmless whatever becomes of them.

use serde_json::json;
use stanchion::sql::{DatabaseSettings, Db, params};

use crate::support::{STOPPED_WITHIN, Shop, eventually, item, on_both_stores};

on_both_stores!(a_kept_state_that_is_stale_or_garbage_changes_nothing);

/// The kept state is made wrong by hand, each time in another way.
async fn a_kept_state_that_is_stale_or_garbage_changes_nothing(mut shop: Shop) {
    let staff = shop.staff("bob").await;
    staff.stock_product("LONG", 100, 0).await;
    for _ in 0..101 {
        let delivery = json!({"delta": 2, "reason": "delivery"});
        let stocked = staff.post("/products/LONG/stock").json(&delivery);
        stocked.send().await.expect(200);
    }
    eventually("the state is kept", STOPPED_WITHIN, || async {
        says(&shop, "written").await.then_some(())
    })
    .await;
    let mut due = 202;
    assert_eq!(staff.stock("LONG").await, due);

    // As it was kept, it is used by the next process.
    change(&mut shop, "version = version").await;
    assert_eq!(shop.anyone().stock("LONG").await, due);
    assert!(says(&shop, "hit").await);

    for wrong in [
        "schema = 99",
        "data = 'no json {'",
        "data = '{}'",
        // Another event than the stream has there; and further than the stream goes.
        "data = replace(data, '\"event\":\"', '\"event\":\"00000000-0000-4000-8000-000000000000\", \"was\":\"')",
        "version = 1000000",
    ] {
        change(&mut shop, wrong).await;
        assert_eq!(shop.anyone().stock("LONG").await, due, "{wrong}");
        assert!(says(&shop, "discarded").await, "{wrong}");
        eventually("it is kept anew", STOPPED_WITHIN, || async {
            says(&shop, "written").await.then_some(())
        })
        .await;
        let ada = shop.customer(&format!("ada{due}")).await;
        let order = ada.order(&item("LONG", 1)).await;
        assert_eq!(order.text_at("/status"), "confirmed", "{wrong}");
        due -= 1;
    }
    shop.adds_up(STOPPED_WITHIN).await;
}

/// Whether this has become of a product's snapshot in this process.
async fn says(shop: &Shop, outcome: &str) -> bool {
    let metrics = shop.fetch_admin("/metrics").send().await.text;
    let labels = format!(r#"stanchion_snapshots_total{{category="product",outcome="{outcome}"}}"#);
    metrics.contains(&labels)
}

/// Changes what is kept of the product between two processes.
async fn change(shop: &mut Shop, set: &str) {
    shop.process.kill().unwrap();
    let db = Db::open(shop.stores(), "inventory", &DatabaseSettings::default())
        .await
        .unwrap();
    let changed = db
        .exec(&format!("update snapshot set {set}"), params![])
        .await;
    assert_eq!(changed.unwrap(), 1, "{set}");
    db.close().await;
    shop.restart().await;
}
