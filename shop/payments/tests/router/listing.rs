//! `GET /payments` and `GET /payments/{id}`.

use serde_json::json;

use crate::harness::{Shop, Who};

#[tokio::test]
async fn a_payment_is_seen_by_its_customer_and_by_staff() {
    let shop = Shop::open().await;
    let asked = shop.captured("pm_card_visa").await;
    let path = format!("/payments/{}", asked.payment_id);
    for (who, status) in [
        (Who::customer(asked), 200),
        (Who::staff(), 200),
        (Who::stranger(), 404),
        (Who::nobody(), 401),
    ] {
        assert_eq!(shop.get(&who, &path).await.status, status);
    }
    let seen = shop.get(&Who::customer(asked), &path).await;
    assert_eq!(seen.data()["order_id"], asked.order_id.to_string());
    assert_eq!(
        seen.header("etag"),
        format!("\"{}\"", seen.data()["version"])
    );
    let again = shop.request(reqwest::Method::GET, &Who::customer(asked), &path);
    let again = shop
        .send(again.header("if-none-match", seen.header("etag")))
        .await;
    assert_eq!(again.status, 304);
    assert_eq!(
        shop.get(&Who::staff(), "/payments/nonsense").await.code(),
        "INVALID_PARAMETER"
    );
}

#[tokio::test]
async fn lists_are_filtered_and_each_customer_sees_its_own() {
    let shop = Shop::open().await;
    let first = shop.captured("pm_card_visa").await;
    let second = shop.authorize("pm_card_chargeDeclined").await;
    shop.becomes(second, "declined").await;
    shop.eventually("the rows follow", async || {
        let all = shop.get(&Who::staff(), "/payments?status=declined").await;
        (all.body["meta"]["total"] == 1).then_some(())
    })
    .await;
    let ids = async |who: &Who, query: &str| {
        let list = shop.get(who, &format!("/payments{query}")).await;
        assert_eq!(list.status, 200, "{:?}", list.body);
        let rows = list.data().as_array().unwrap().clone();
        rows.iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (one, two) = (first.payment_id.to_string(), second.payment_id.to_string());
    assert_eq!(ids(&Who::staff(), "").await, [two.clone(), one.clone()]);
    assert_eq!(
        ids(&Who::staff(), "?order=asc").await,
        [one.clone(), two.clone()]
    );
    assert_eq!(
        ids(&Who::customer(first), "").await,
        std::slice::from_ref(&one)
    );
    assert!(ids(&Who::stranger(), "").await.is_empty());
    let query = format!("?order_id={}", second.order_id);
    assert_eq!(ids(&Who::staff(), &query).await, [two]);
    assert_eq!(ids(&Who::staff(), "?status=captured").await, [one]);
    assert_eq!(
        shop.get(&Who::staff(), "/payments?status=gone")
            .await
            .status,
        400
    );
    assert_eq!(shop.get(&Who::nobody(), "/payments").await.status, 401);
}

#[tokio::test]
async fn a_cursor_walks_the_whole_list_in_each_order() {
    let shop = Shop::open().await;
    for _ in 0..5 {
        shop.authorize("pm_card_visa").await;
    }
    shop.eventually("the rows follow", async || {
        let all = shop.get(&Who::staff(), "/payments?status=authorized").await;
        (all.body["meta"]["total"] == 5).then_some(())
    })
    .await;
    for sort in ["created_at", "updated_at", "amount"] {
        let mut seen = Vec::new();
        let mut path = format!("/payments?limit=2&sort={sort}");
        loop {
            let list = shop.get(&Who::staff(), &path).await;
            for row in list.data().as_array().unwrap() {
                seen.push(row["id"].as_str().unwrap().to_owned());
            }
            match list.body["meta"]["next_cursor"].as_str() {
                Some(cursor) => path = format!("/payments?cursor={cursor}"),
                None => break,
            }
        }
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((count, seen.len()), (5, 5), "{sort}");
    }
}

#[tokio::test]
async fn a_list_with_the_consistency_token_of_a_refund_includes_it() {
    let shop = Shop::open().await;
    let asked = shop.captured("pm_card_visa").await;
    let refunding = shop.refund(asked, &json!({"amount": 100})).await;
    let token = refunding.body["meta"]["consistency_token"]
        .as_str()
        .unwrap();
    let list = shop.request(reqwest::Method::GET, &Who::staff(), "/payments");
    let list = shop.send(list.header("consistency-token", token)).await;
    assert_eq!(list.status, 200);
    let version = refunding.data()["version"].as_i64().unwrap();
    assert!(list.data()[0]["version"].as_i64().unwrap() >= version);
}
