//! Requests that come again: the same key, the same answer, one effect.

use serde_json::json;

use crate::support::{Caller, Shop, item};

#[tokio::test]
async fn the_same_key_and_body_get_the_stored_answer_and_one_order() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let first = place(&ada, "key-1", 1).await.expect(202);
    assert_eq!(first.header("idempotent-replayed"), None);

    let again = place(&ada, "key-1", 1).await.expect(202);

    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.data(), first.data());
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(orders_of(&ada).await, 1);
}

#[tokio::test]
async fn another_body_under_the_same_key_is_refused() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    place(&ada, "key-1", 1).await.expect(202);
    place(&ada, "key-1", 2)
        .await
        .expect_error(422, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(orders_of(&ada).await, 1);
}

#[tokio::test]
async fn a_key_belongs_to_its_caller() {
    let shop = Shop::start().await;
    let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
    let hers = place(&ada, "key-1", 1).await.expect(202);
    let his = place(&bob, "key-1", 2).await.expect(202);
    assert_ne!(hers.text_at("/id"), his.text_at("/id"));
}

#[tokio::test]
async fn a_key_survives_a_kill_between_request_and_repeat() {
    let mut shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let first = place(&ada, "key-1", 1).await.expect(202);

    shop.process.kill().unwrap();
    shop.restart().await;

    let again = place(&ada, "key-1", 1).await.expect(202);
    assert_eq!(again.text_at("/id"), first.text_at("/id"));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn a_request_that_a_kill_cut_off_can_be_repeated_at_once() {
    let mut shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    for round in 0..5 {
        let keys: Vec<_> = (0..20).map(|n| format!("key-{round}-{n}")).collect();
        let asked = keys.iter().map(|key| {
            ada.post("/orders")
                .key(key)
                .json(&item("MUG-BLUE", 1))
                .try_send()
        });
        let (_, killed) = tokio::join!(futures_util::future::join_all(asked), async {
            tokio::time::sleep(std::time::Duration::from_millis(3 * round)).await;
            shop.process.kill()
        });
        killed.unwrap();
        shop.restart().await;
        for key in &keys {
            place(&ada, key, 1).await.expect(202);
        }
    }
    assert_eq!(orders_of(&ada).await, 100);
}

#[tokio::test]
async fn one_key_from_many_connections_at_once_makes_one_order() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;

    let answers = futures_util::future::join_all((0..20).map(|_| place(&ada, "key-1", 1))).await;

    let mut ids = std::collections::HashSet::new();
    for answer in answers {
        match answer.status {
            202 => assert!(ids.insert(answer.text_at("/id")) || ids.len() == 1),
            409 => assert_eq!(answer.code(), "REQUEST_IN_PROGRESS"),
            other => panic!("{other}: {}", answer.text),
        }
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(orders_of(&ada).await, 1);
}

#[tokio::test]
async fn a_refusal_of_the_domain_is_repeated_too() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let take = json!({"delta": -1_000_000, "reason": "typo"});
    let first = admin
        .post("/products/SCALE/stock")
        .key("key-1")
        .json(&take)
        .send()
        .await;
    assert!(matches!(first.status, 409 | 422), "{}", first.text);

    let more = json!({"delta": 9_000_000, "reason": "delivery"});
    admin
        .post("/products/SCALE/stock")
        .json(&more)
        .send()
        .await
        .expect(200);
    let again = admin
        .post("/products/SCALE/stock")
        .key("key-1")
        .json(&take)
        .send()
        .await;

    assert_eq!((again.status, again.code()), (first.status, first.code()));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn a_delivery_under_one_key_is_booked_once() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let before = admin.stock("SCALE").await;
    let delivery = json!({"delta": 5, "reason": "delivery"});
    for _ in 0..3 {
        admin
            .post("/products/SCALE/stock")
            .key("d-1")
            .json(&delivery)
            .send()
            .await
            .expect(200);
    }
    assert_eq!(admin.stock("SCALE").await, before + 5);
}

async fn place(caller: &Caller, key: &str, quantity: i64) -> crate::support::Answer {
    caller
        .post("/orders")
        .key(key)
        .json(&item("MUG-BLUE", quantity))
        .send()
        .await
}

/// How many orders the list shows, after all writes so far.
async fn orders_of(caller: &Caller) -> i64 {
    let marker = caller.place(&item("MUG-BLUE", 1)).await;
    let token = marker.meta()["consistency_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let list = caller
        .get("/orders")
        .header("consistency-token", &token)
        .send()
        .await
        .expect(200);
    list.meta()["total"].as_i64().unwrap() - 1
}
