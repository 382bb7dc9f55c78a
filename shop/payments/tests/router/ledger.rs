//! The ledger's rows.

use serde_json::json;
use stanchion::sql::params;

use crate::harness::Shop;

#[tokio::test]
async fn the_rows_sum_to_zero_and_show_what_the_gateway_keeps() {
    let shop = Shop::open().await;
    let kept = shop.captured("pm_card_visa").await;
    shop.refund(kept, &json!({"amount": 250})).await;
    shop.becomes(kept, "partially_refunded").await;
    let given_back = shop.captured("pm_card_visa").await;
    shop.cancel(given_back).await;
    shop.becomes(given_back, "refunded").await;

    shop.eventually("the rows follow", async || {
        let count = "select count(*) from ledger_entries";
        let count: i64 = shop.db.one(count, params![]).await.unwrap().get(0).unwrap();
        (count == 8).then_some(())
    })
    .await;
    let sums = "select account, cast(sum(amount) as bigint) from ledger_entries \
                group by account order by account";
    let rows = shop.db.query(sums, params![]).await.unwrap();
    let sum = |row: usize| {
        (
            rows[row].get::<&str>(0).unwrap(),
            rows[row].get::<i64>(1).unwrap(),
        )
    };
    assert_eq!((sum(0), sum(1)), (("gateway", 1_000), ("sales", -1_000)));
    let crooked = "select position from ledger_entries group by position having sum(amount) <> 0";
    assert!(shop.db.query(crooked, params![]).await.unwrap().is_empty());
}
