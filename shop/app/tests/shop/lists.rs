//! Lists by page and by cursor, filters, consistency tokens, entity tags.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Caller, Shop, eventually, item};

/// A list follows its log within this.
const LISTED_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn pages_and_cursors_show_every_order_once_newest_first() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let (placed, token) = place_many(&ada, 7).await;
    let newest_first: Vec<_> = placed.into_iter().rev().collect();

    let mut paged = Vec::new();
    for page in 1..=3 {
        let path = format!("/orders?limit=3&page={page}");
        let list = ada
            .get(&path)
            .header("consistency-token", &token)
            .send()
            .await
            .expect(200);
        let meta = list.meta();
        let expected = json!([page, 3, 7, 3]);
        let told = json!([
            meta["page"],
            meta["limit"],
            meta["total"],
            meta["total_pages"]
        ]);
        assert_eq!(told, expected, "{meta}");
        paged.extend(ids(&list));
    }
    assert_eq!(paged, newest_first);

    let mut by_cursor = Vec::new();
    let mut path = "/orders?limit=3".to_owned();
    loop {
        let list = ada.get(&path).send().await.expect(200);
        by_cursor.extend(ids(&list));
        let Some(next) = list.meta()["next_cursor"].as_str().map(str::to_owned) else {
            break;
        };
        if path.contains("cursor") {
            let meta = list.meta();
            assert!(
                meta.get("page").is_none() && meta.get("total").is_none(),
                "{meta}"
            );
        }
        path = format!("/orders?limit=3&cursor={next}");
    }
    assert_eq!(by_cursor, newest_first);
}

#[tokio::test]
async fn a_cursor_is_not_disturbed_by_what_is_added_meanwhile() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let (placed, token) = place_many(&ada, 4).await;
    let first = ada
        .get("/orders?limit=2")
        .header("consistency-token", &token);
    let first = first.send().await.expect(200);
    let (_, token) = place_many(&ada, 3).await;
    let next = first.meta()["next_cursor"].as_str().unwrap().to_owned();
    let rest = ada
        .get(&format!("/orders?cursor={next}"))
        .header("consistency-token", &token);
    assert_eq!(
        ids(&rest.send().await.expect(200)),
        [placed[1].clone(), placed[0].clone()]
    );
}

#[tokio::test]
async fn a_list_with_the_token_of_a_write_shows_that_write() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    for _ in 0..20 {
        let placed = ada.place(&item("MUG-BLUE", 1)).await;
        let token = placed.meta()["consistency_token"]
            .as_str()
            .unwrap()
            .to_owned();
        let list = ada
            .get("/orders?limit=1")
            .header("consistency-token", &token)
            .send()
            .await;
        assert_eq!(ids(&list.expect(200)), [placed.text_at("/id")]);
    }
}

#[tokio::test]
async fn a_token_of_another_module_is_ignored() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let placed = ada.place(&item("MUG-BLUE", 1)).await;
    let token = placed.meta()["consistency_token"]
        .as_str()
        .unwrap()
        .to_owned();
    ada.get("/products")
        .header("consistency-token", &token)
        .send()
        .await
        .expect(200);
}

#[tokio::test]
async fn a_first_page_is_short_and_says_how_much_there_is() {
    let shop = Shop::start().await;
    let list = shop.anyone().get("/products").send().await.expect(200);
    assert_eq!(list.meta()["total"], 12);
    assert_eq!(list.meta()["limit"], 20);
    let few = shop
        .anyone()
        .get("/products?limit=5&page=3")
        .send()
        .await
        .expect(200);
    assert_eq!(
        (
            few.data().as_array().unwrap().len(),
            few.meta()["total_pages"].as_i64()
        ),
        (2, Some(3))
    );
    let beyond = shop
        .anyone()
        .get("/products?limit=5&page=99")
        .send()
        .await
        .expect(200);
    assert_eq!(beyond.data(), json!([]));
}

#[tokio::test]
async fn products_are_found_by_words_and_sorted_both_ways() {
    let shop = Shop::start().await;
    let anyone = shop.anyone();
    let found = anyone
        .get("/products?q=coffee&sort=price&order=asc")
        .send()
        .await
        .expect(200);
    assert_eq!(field(&found, "sku"), ["COFFEE-BEANS-1KG", "COFFEE-GRINDER"]);
    let dearest = anyone
        .get("/products?sort=price&order=desc&limit=1")
        .send()
        .await
        .expect(200);
    assert_eq!(field(&dearest, "sku"), ["COFFEE-GRINDER"]);
    let by_name = anyone
        .get("/products?sort=name&order=asc")
        .send()
        .await
        .expect(200);
    let names = field(&by_name, "name");
    assert!(
        names.is_sorted_by_key(|name| name.to_lowercase()),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_filter_keeps_what_fits() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let confirmed = ada.order(&item("WOODEN-SPOON", 1)).await;
    let rejected = ada.order(&item("WOODEN-SPOON", 1)).await;
    let token = ada.place(&item("MUG-BLUE", 1)).await.meta()["consistency_token"]
        .as_str()
        .unwrap()
        .to_owned();
    for (status, order) in [("confirmed", &confirmed), ("rejected", &rejected)] {
        let path = format!("/orders?status={status}");
        let list = ada
            .get(&path)
            .header("consistency-token", &token)
            .send()
            .await
            .expect(200);
        assert!(
            ids(&list).contains(&order.text_at("/id")),
            "{status}: {}",
            list.text
        );
        assert!(
            field(&list, "status").iter().all(|each| each == status),
            "{}",
            list.text
        );
    }
    let after = format!("/orders?placed_after={}", confirmed.text_at("/settled_at"));
    let list = ada
        .get(&after)
        .header("consistency-token", &token)
        .send()
        .await
        .expect(200);
    assert!(
        !ids(&list).contains(&confirmed.text_at("/id")),
        "{}",
        list.text
    );
    // The list of products follows a log of its own, of which an order's token says nothing.
    eventually("no spoon is in stock", LISTED_WITHIN, || async {
        let spoons = shop.anyone().get("/products?in_stock=true&q=spoon");
        let spoons = spoons.send().await.expect(200);
        (spoons.data() == json!([])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_entity_tag_saves_a_transfer_and_guards_a_change() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let first = admin.get("/products/KETTLE").send().await.expect(200);
    let tag = first.etag();
    let same = admin
        .get("/products/KETTLE")
        .header("if-none-match", &tag)
        .send()
        .await
        .expect(304);
    assert_eq!((same.text.as_str(), same.etag()), ("", tag.clone()));

    let describe = |text: &str, tag: &str| {
        let patch = json!({"description": text});
        admin
            .patch("/products/KETTLE")
            .header("if-match", tag)
            .json(&patch)
            .send()
    };
    let changed = describe("New words.", &tag).await.expect(200);
    assert_ne!(changed.etag(), tag);
    describe("Too late.", &tag)
        .await
        .expect_error(412, "PRECONDITION_FAILED");
    let now = admin
        .get("/products/KETTLE")
        .header("if-none-match", &tag)
        .send()
        .await
        .expect(200);
    assert_eq!(now.text_at("/description"), "New words.");
}

#[tokio::test]
async fn a_profile_is_guarded_by_its_tag_too_and_merges_patches() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let path = format!("/users/{}", ada.id);
    let tag = ada.get(&path).send().await.expect(200).etag();
    let named = json!({"first_name": " Ada ", "last_name": "Lovelace"});
    let changed = ada
        .patch(&path)
        .header("if-match", &tag)
        .json(&named)
        .send()
        .await
        .expect(200);
    assert_eq!(changed.text_at("/first_name"), "Ada");
    ada.patch(&path)
        .header("if-match", &tag)
        .json(&named)
        .send()
        .await
        .expect(412);
    ada.delete(&path)
        .header("if-match", &tag)
        .send()
        .await
        .expect(412);
    let removed = ada
        .patch(&path)
        .json(&json!({"first_name": null}))
        .send()
        .await
        .expect(200);
    assert!(removed.data()["first_name"].is_null());
    assert_eq!(removed.text_at("/last_name"), "Lovelace");
}

#[tokio::test]
async fn an_order_has_an_entity_tag_that_changes_with_it() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    let path = format!("/orders/{}", order.text_at("/id"));
    let tag = ada.get(&path).send().await.expect(200).etag();
    ada.get(&path)
        .header("if-none-match", &tag)
        .send()
        .await
        .expect(304);
    ada.post(&format!("{path}/cancel")).send().await.expect(200);
    ada.get(&path)
        .header("if-none-match", &tag)
        .send()
        .await
        .expect(200);
}

/// So many orders, their ids in the order of placing, and the last one's consistency token.
async fn place_many(caller: &Caller, count: usize) -> (Vec<String>, String) {
    let (mut ids, mut token) = (Vec::new(), String::new());
    for _ in 0..count {
        let placed = caller.place(&item("MUG-BLUE", 1)).await;
        ids.push(placed.text_at("/id"));
        token = placed.meta()["consistency_token"]
            .as_str()
            .unwrap()
            .to_owned();
    }
    (ids, token)
}

fn ids(list: &Answer) -> Vec<String> {
    field(list, "id")
}

fn field(list: &Answer, name: &str) -> Vec<String> {
    let data = list.data();
    let rows = data.as_array().unwrap().iter();
    rows.map(|row: &Value| row[name].as_str().unwrap().to_owned())
        .collect()
}
