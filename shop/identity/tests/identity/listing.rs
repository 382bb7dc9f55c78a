use serde_json::{Value, json};

use crate::support::{Shop, User};

async fn shop_of_seven() -> (Shop, User) {
    let shop = Shop::open().await;
    for name in ["ada", "bob", "cyd", "dan", "eve", "fay"] {
        shop.register(name).await;
    }
    let admin = shop.admin().await;
    (shop, admin)
}

fn usernames(list: &Value) -> Vec<&str> {
    let users = list.as_array().unwrap();
    users
        .iter()
        .map(|user| user["username"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn users_are_listed_newest_first_in_pages() {
    let (shop, admin) = shop_of_seven().await;
    let reply = shop.get("/users?limit=3").by(&admin).send().await;
    assert_eq!(usernames(reply.expect(200)), ["fay", "eve", "dan"]);
    let meta = &reply.body["meta"];
    assert_eq!((&meta["page"], &meta["limit"]), (&json!(1), &json!(3)));
    assert_eq!(
        (&meta["total"], &meta["total_pages"]),
        (&json!(7), &json!(3))
    );
    let reply = shop.get("/users?limit=3&page=3").by(&admin).send().await;
    assert_eq!(usernames(reply.expect(200)), ["admin"]);
    assert!(reply.body["meta"]["next_cursor"].is_null());
}

#[tokio::test]
async fn a_cursor_goes_through_every_sort_without_a_hole() {
    let (shop, admin) = shop_of_seven().await;
    for (query, expected) in [
        (
            "sort=username",
            ["ada", "admin", "bob", "cyd", "dan", "eve", "fay"],
        ),
        (
            "sort=username&order=desc",
            ["fay", "eve", "dan", "cyd", "bob", "admin", "ada"],
        ),
        (
            "sort=email",
            ["ada", "admin", "bob", "cyd", "dan", "eve", "fay"],
        ),
        (
            "sort=created_at&order=asc",
            ["admin", "ada", "bob", "cyd", "dan", "eve", "fay"],
        ),
    ] {
        let mut path = format!("/users?limit=2&{query}");
        let mut seen = Vec::new();
        loop {
            let reply = shop.get(&path).by(&admin).send().await;
            seen.extend(usernames(reply.expect(200)).into_iter().map(str::to_owned));
            match reply.body["meta"]["next_cursor"].as_str() {
                Some(cursor) => path = format!("/users?cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, expected, "{query}");
    }
}

#[tokio::test]
async fn users_are_filtered_by_status_address_and_any_part_of_their_names() {
    let (shop, admin) = shop_of_seven().await;
    let eve = shop.login("eve").await;
    shop.set_status(&admin, &eve, "suspended").await.expect(200);
    let bob = shop.login("bob").await;
    let patch = json!({"first_name": "Åsa 100%", "last_name": "Ünal"});
    shop.patch(&bob.path())
        .by(&bob)
        .json(patch)
        .send()
        .await
        .expect(200);
    for (query, expected) in [
        ("status=suspended", &["eve"][..]),
        ("email=BOB%40example.com", &["bob"]),
        ("email=bob", &[]),
        ("q=AD&sort=username", &["ada", "admin"]),
        ("q=%C3%A5SA", &["bob"]),
        ("q=%C3%9CNAL", &["bob"]),
        ("q=100%25", &["bob"]),
        ("q=%25", &["bob"]),
        ("q=_", &[]),
        ("q=e&status=suspended", &["eve"]),
    ] {
        let reply = shop.get(&format!("/users?{query}")).by(&admin).send().await;
        assert_eq!(usernames(reply.expect(200)), expected, "{query}");
        assert_eq!(reply.body["meta"]["total"], expected.len(), "{query}");
    }
}

#[tokio::test]
async fn deleted_users_are_not_listed() {
    let (shop, admin) = shop_of_seven().await;
    let eve = shop.login("eve").await;
    shop.delete(&eve.path()).by(&eve).send().await;
    let reply = shop.get("/users").by(&admin).send().await;
    assert!(!usernames(reply.expect(200)).contains(&"eve"));
    assert_eq!(reply.body["meta"]["total"], 6);
}

#[tokio::test]
async fn a_list_that_cannot_be_made_is_refused() {
    let (shop, admin) = shop_of_seven().await;
    for (query, code) in [
        ("limit=0", "INVALID_PARAMETER"),
        ("limit=101", "INVALID_PARAMETER"),
        ("page=0", "INVALID_PARAMETER"),
        ("page=101&limit=100", "INVALID_PARAMETER"),
        ("sort=password_hash", "INVALID_PARAMETER"),
        ("order=up", "INVALID_PARAMETER"),
        ("status=retired", "INVALID_PARAMETER"),
        ("role=admin", "INVALID_PARAMETER"),
        ("cursor=x", "INVALID_CURSOR"),
    ] {
        let reply = shop.get(&format!("/users?{query}")).by(&admin).send().await;
        reply.refused(400, code);
    }
}

#[tokio::test]
async fn a_list_sees_the_write_whose_token_it_is_given() {
    let (shop, admin) = shop_of_seven().await;
    let body = crate::support::registration("gus");
    let written = shop.post("/users").json(body).send().await;
    let token = written.body["meta"]["consistency_token"].as_str().unwrap();
    let list = |token: &str| {
        shop.get("/users")
            .by(&admin)
            .header("consistency-token", token)
            .send()
    };
    let reply = list(token).await;
    assert!(usernames(reply.expect(200)).contains(&"gus"));
    list("tampered")
        .await
        .refused(400, "INVALID_CONSISTENCY_TOKEN");
}
