use serde_json::{Value, json};

use crate::harness::{Answered, Shop, Who, id, order};

/// Places pending orders of so many beans each; the answers, oldest first.
async fn placed(shop: &Shop, who: &Who, quantities: &[i64]) -> Vec<Answered> {
    let mut placed = Vec::new();
    for quantity in quantities {
        let placing = shop.post(who, "/orders").fresh_key();
        placed.push(placing.json(&order(&[("SLOW", *quantity)])).await);
    }
    placed
}

/// The list after the last of these writes.
async fn list(shop: &Shop, who: &Who, path: &str, seen: &[Answered]) -> Answered {
    let token = seen.last().unwrap().token();
    let listed = shop
        .get(who, path)
        .header("consistency-token", token)
        .send()
        .await;
    assert_eq!(listed.status, 200, "{:?}", listed.body);
    listed
}

fn ids(listed: &Answered) -> Vec<&str> {
    listed.data().as_array().unwrap().iter().map(id).collect()
}

fn amounts(listed: &Answered) -> Vec<i64> {
    let orders = listed.data().as_array().unwrap();
    orders
        .iter()
        .map(|order| order["total"]["amount"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_list_has_what_was_written_before_it_newest_first() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let placed = placed(&shop, &customer, &[1, 2, 3]).await;
    let listed = list(&shop, &customer, "/orders", &placed).await;
    let expected: Vec<&str> = placed
        .iter()
        .rev()
        .map(|placed| id(placed.data()))
        .collect();
    assert_eq!(ids(&listed), expected);
    assert_eq!(listed.data()[0], *placed[2].data());
    let meta = &listed.body["meta"];
    let told = json!([
        meta["page"],
        meta["limit"],
        meta["total"],
        meta["total_pages"],
        meta["next_cursor"]
    ]);
    assert_eq!(told, json!([1, 20, 3, 1, null]));
}

#[tokio::test]
async fn customers_see_their_own_orders_and_readers_see_all() {
    let (shop, one, other) = (Shop::open().await, Who::customer(), Who::customer());
    let mut seen = placed(&shop, &one, &[1, 2]).await;
    seen.extend(placed(&shop, &other, &[3]).await);
    let reader = Who::with("order:read");
    let of_one = format!("/users/{}/orders", one.id);
    let rows = [
        (&one, "/orders", 2),
        (&other, "/orders", 1),
        (&reader, "/orders", 3),
        (&one, of_one.as_str(), 2),
        (&reader, of_one.as_str(), 2),
        (&Who::customer(), "/orders", 0),
    ];
    for (who, path, total) in rows {
        assert_eq!(
            list(&shop, who, path, &seen).await.body["meta"]["total"],
            total,
            "{path}"
        );
    }
    let hidden = shop.get(&other, &of_one).send().await;
    assert_eq!((hidden.status, hidden.code()), (404, "USER_NOT_FOUND"));
}

#[tokio::test]
async fn cursors_go_through_every_sort_without_loss_or_repeat() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let placed = placed(&shop, &customer, &[3, 1, 2, 2, 5]).await;
    let rows = [
        ("sort=total&order=asc", vec![100, 200, 200, 300, 500]),
        ("sort=total&order=desc", vec![500, 300, 200, 200, 100]),
        ("sort=placed_at", vec![500, 200, 200, 100, 300]),
        ("sort=placed_at&order=asc", vec![300, 100, 200, 200, 500]),
    ];
    for (sort, expected) in rows {
        let mut page = list(
            &shop,
            &customer,
            &format!("/orders?limit=2&{sort}"),
            &placed,
        )
        .await;
        let (mut all, mut seen) = (
            amounts(&page),
            ids(&page)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        );
        while let Some(cursor) = page.body["meta"]["next_cursor"].as_str() {
            page = list(
                &shop,
                &customer,
                &format!("/orders?cursor={cursor}"),
                &placed,
            )
            .await;
            assert!(page.body["meta"].get("total").is_none());
            all.extend(amounts(&page));
            seen.extend(ids(&page).into_iter().map(str::to_owned));
        }
        assert_eq!(all, expected, "{sort}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 5, "{sort}");
    }
}

#[tokio::test]
async fn pages_tell_how_many_there_are() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let placed = placed(&shop, &customer, &[1, 2, 3]).await;
    let path = "/orders?limit=2&page=2&sort=total&order=asc";
    let listed = list(&shop, &customer, path, &placed).await;
    assert_eq!(amounts(&listed), [300]);
    assert_eq!(
        (
            &listed.body["meta"]["page"],
            &listed.body["meta"]["total_pages"]
        ),
        (&json!(2), &json!(2))
    );
}

#[tokio::test]
async fn a_list_can_be_narrowed_by_status_and_time() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    shop.settled(&customer, "BEANS").await;
    let scarce = shop.settled(&customer, "SCARCE").await;
    let placed = placed(&shop, &customer, &[1, 1]).await;
    let middle = placed[0].data()["placed_at"].as_str().unwrap();
    let rows = [
        ("status=pending".to_owned(), 2),
        ("status=confirmed".to_owned(), 1),
        ("status=cancelled".to_owned(), 0),
        (format!("placed_after={middle}"), 1),
        (format!("placed_before={middle}"), 2),
        (format!("placed_before={middle}&status=rejected"), 1),
        (format!("placed_after={middle}&placed_before={middle}"), 0),
    ];
    for (filter, total) in rows {
        let listed = list(&shop, &customer, &format!("/orders?{filter}"), &placed).await;
        assert_eq!(listed.body["meta"]["total"], total, "{filter}");
    }
    let rejected = list(&shop, &customer, "/orders?status=rejected", &placed).await;
    assert_eq!(rejected.data()[0], scarce);
}

#[tokio::test]
async fn a_cancellation_is_in_the_list_that_carries_its_token() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let order = shop.settled(&customer, "BEANS").await;
    let path = format!("/orders/{}/cancel", id(&order));
    let cancelled = shop.post(&customer, &path).send().await;
    let listed = list(
        &shop,
        &customer,
        "/orders",
        std::slice::from_ref(&cancelled),
    )
    .await;
    assert_eq!(listed.data()[0], *cancelled.data());
}

#[tokio::test]
async fn a_tampered_cursor_or_token_is_refused() {
    let (shop, customer) = (Shop::open().await, Who::customer());
    let cursor = shop.get(&customer, "/orders?cursor=abc").send().await;
    assert_eq!((cursor.status, cursor.code()), (400, "INVALID_CURSOR"));
    let token = shop
        .get(&customer, "/orders")
        .header("consistency-token", "abc")
        .send()
        .await;
    assert_eq!(
        (token.status, token.code()),
        (400, "INVALID_CONSISTENCY_TOKEN")
    );
    let empty: &Value = &shop.get(&customer, "/orders").send().await.body["data"].clone();
    assert_eq!(*empty, json!([]));
}
