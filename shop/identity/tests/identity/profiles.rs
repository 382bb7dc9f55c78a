use serde_json::json;
use stanchion::runtime::task;

use crate::support::{Shop, registration};

#[tokio::test]
async fn a_user_sees_itself_by_id_and_as_me() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    for path in [ada.path(), "/users/me".into()] {
        let reply = shop.get(&path).by(&ada).send().await;
        assert_eq!(reply.expect(200)["id"], ada.id);
        assert_eq!(reply.header("etag"), "\"1\"");
        assert!(reply.expect(200)["last_login_at"].is_string());
    }
}

#[tokio::test]
async fn what_a_client_has_already_is_not_sent_again() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let known = shop
        .get(&ada.path())
        .by(&ada)
        .header("if-none-match", "\"1\"");
    assert_eq!(known.send().await.status, 304);
}

#[tokio::test]
async fn a_put_replaces_the_whole_profile() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let body =
        json!({"email": "countess@example.com", "username": "Lovelace", "last_name": "King"});
    let reply = shop.put(&ada.path()).by(&ada).json(body).send().await;
    let user = reply.expect(200);
    assert_eq!(user["email"], "countess@example.com");
    assert_eq!(user["username"], "lovelace");
    assert_eq!(user["last_name"], "King");
    assert!(user.get("first_name").is_none());
    assert_eq!(user["version"], 2);
    assert_eq!(reply.header("etag"), "\"2\"");
    assert!(reply.body["meta"]["consistency_token"].is_string());
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_null_removes() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let patch = json!({"last_name": "Lovelace", "first_name": null});
    let reply = shop.patch(&ada.path()).by(&ada).json(patch).send().await;
    let user = reply.expect(200);
    assert_eq!(user["username"], "ada");
    assert_eq!(user["last_name"], "Lovelace");
    assert!(user.get("first_name").is_none());
    let reply = shop
        .patch(&ada.path())
        .by(&ada)
        .json(json!({"email": null}))
        .send()
        .await;
    reply.refused(422, "VALIDATION_FAILED");
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_no_new_version() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let reply = shop
        .patch(&ada.path())
        .by(&ada)
        .json(json!({"username": "ADA"}))
        .send()
        .await;
    assert_eq!(reply.expect(200)["version"], 1);
}

#[tokio::test]
async fn nobody_changes_roles_status_or_ids_with_a_profile() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    for patch in [
        json!({"roles": ["admin"]}),
        json!({"status": "active"}),
        json!({"id": "x"}),
        json!({"version": 9}),
        json!({"password": "another password"}),
    ] {
        let reply = shop.patch(&ada.path()).by(&ada).json(patch).send().await;
        reply.refused(400, "UNKNOWN_FIELD");
    }
    let me = shop.get("/users/me").by(&ada).send().await;
    assert_eq!(me.expect(200)["roles"], json!(["customer"]));
}

#[tokio::test]
async fn a_change_of_another_version_than_was_read_is_refused() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let patch = |tag: &str, name: &str| {
        let request = shop.patch(&ada.path()).by(&ada).header("if-match", tag);
        request.json(json!({"first_name": name})).send()
    };
    patch("\"1\"", "One").await.expect(200);
    patch("\"1\"", "Two")
        .await
        .refused(412, "PRECONDITION_FAILED");
    patch("*", "Three").await.expect(200);
    let body = json!({"email": "ada@example.com", "username": "ada"});
    let put = shop
        .put(&ada.path())
        .by(&ada)
        .header("if-match", "\"9\"")
        .json(body);
    put.send().await.refused(412, "PRECONDITION_FAILED");
    let delete = shop
        .delete(&ada.path())
        .by(&ada)
        .header("if-match", "\"9\"");
    delete.send().await.refused(412, "PRECONDITION_FAILED");
}

#[tokio::test]
async fn parallel_changes_without_a_condition_are_all_kept() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let fields = ["first_name", "last_name"].map(|field| {
        let (shop, ada) = (shop.clone(), ada.clone());
        task::spawn("request", async move {
            let patch = json!({field: "New"});
            shop.patch(&ada.path())
                .by(&ada)
                .json(patch)
                .send()
                .await
                .status
        })
    });
    for field in fields {
        assert_eq!(field.await.unwrap(), 200);
    }
    let me = shop.get("/users/me").by(&ada).send().await;
    let me = me.expect(200);
    assert_eq!(
        (&me["first_name"], &me["last_name"]),
        (&json!("New"), &json!("New"))
    );
    assert_eq!(me["version"], 3);
}

#[tokio::test]
async fn a_taken_address_or_username_stays_whose_it_is() {
    let shop = Shop::open().await;
    let (ada, _bob) = (shop.register("ada").await, shop.register("bob").await);
    let patch = |body| shop.patch(&ada.path()).by(&ada).json(body).send();
    patch(json!({"email": "BOB@example.com"}))
        .await
        .refused(409, "EMAIL_TAKEN");
    patch(json!({"username": "Bob"}))
        .await
        .refused(409, "USERNAME_TAKEN");
    patch(json!({"email": "ADA@example.com"})).await.expect(200);
}

#[tokio::test]
async fn a_deleted_user_is_gone_and_its_names_are_free() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let reply = shop.delete(&ada.path()).by(&ada).send().await;
    assert_eq!((reply.status, reply.body.is_null()), (204, true));
    shop.get("/users/me")
        .by(&ada)
        .send()
        .await
        .refused(401, "UNAUTHENTICATED");
    let refresh = json!({"refresh_token": ada.refresh_token});
    shop.post("/auth/refresh")
        .json(refresh)
        .send()
        .await
        .refused(401, "UNAUTHENTICATED");
    shop.try_login("ada").await.refused(401, "UNAUTHENTICATED");
    let found = shop.get(&ada.path()).by(&shop.admin().await).send().await;
    found.refused(404, "USER_NOT_FOUND");
    let again = shop.post("/users").json(registration("ada")).send().await;
    assert_ne!(again.expect(201)["id"], ada.id);
}

#[tokio::test]
async fn what_is_no_id_is_a_wrong_parameter() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let reply = shop.get("/users/7").by(&admin).send().await;
    reply.refused(400, "INVALID_PARAMETER");
    let reply = shop
        .get("/users/01900000-0000-7000-8000-000000000000")
        .by(&admin)
        .send()
        .await;
    let error = reply.refused(404, "USER_NOT_FOUND");
    assert_eq!(
        error["details"]["user_id"],
        "01900000-0000-7000-8000-000000000000"
    );
}
