use serde_json::{Value, json};

use crate::support::{Shop, User};

/// Which status each of nobody, the user itself, another customer, staff and an administrator gets.
const MATRIX: [(&str, &str, &str, [u16; 5]); 13] = [
    ("GET", "/users", "", [401, 403, 403, 200, 200]),
    ("GET", "/users?q=ada", "", [401, 403, 403, 200, 200]),
    ("GET", "/users/me", "", [401, 200, 200, 200, 200]),
    ("GET", "/users/{id}", "", [401, 200, 404, 200, 200]),
    (
        "PATCH",
        "/users/{id}",
        r#"{"first_name": "A"}"#,
        [401, 200, 404, 403, 200],
    ),
    (
        "PUT",
        "/users/{id}",
        r#"{"email": "ada@example.com", "username": "ada"}"#,
        [401, 200, 404, 403, 200],
    ),
    (
        "PUT",
        "/users/{id}/roles",
        r#"{"roles": ["customer"]}"#,
        [401, 403, 403, 403, 200],
    ),
    (
        "PUT",
        "/users/{id}/status",
        r#"{"status": "active"}"#,
        [401, 403, 403, 403, 200],
    ),
    ("GET", "/auth/sessions", "", [401, 200, 200, 200, 200]),
    (
        "DELETE",
        "/auth/sessions/01900000-0000-7000-8000-000000000000",
        "",
        [401, 404, 404, 404, 404],
    ),
    (
        "POST",
        "/auth/password",
        r#"{"current_password": "x", "new_password": "a new password"}"#,
        [401, 422, 422, 422, 422],
    ),
    ("DELETE", "/users/{id}", "", [401, 204, 404, 403, 204]),
    ("POST", "/auth/logout", "", [401, 204, 204, 204, 204]),
];

#[tokio::test]
async fn each_role_reaches_what_it_may_and_nothing_else() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    for (row, (method, path, body, expected)) in MATRIX.into_iter().enumerate() {
        let mut got = Vec::new();
        for nth in 0..5 {
            let owner = format!("owner{row}x{nth}");
            let body = body.replace("ada", &owner);
            let owner = shop.register(&owner).await;
            let other = shop.register(&format!("other{row}x{nth}")).await;
            let staff = shop.staff(&format!("staff{row}x{nth}"), &admin).await;
            let callers = [None, Some(&owner), Some(&other), Some(&staff), Some(&admin)];
            let path = path.replace("{id}", &owner.id);
            let mut request = shop.request(method, &path).text(&body);
            if let Some(caller) = callers[nth] {
                request = request.by(caller);
            }
            got.push(request.send().await.status);
        }
        assert_eq!(got, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn an_administrator_gives_and_takes_roles() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let ada = shop.register("ada").await;
    let reply = shop
        .give_roles(&admin, &ada, json!(["staff", "customer", "staff"]))
        .await;
    assert_eq!(reply.expect(200)["roles"], json!(["customer", "staff"]));
    assert_eq!(reply.header("etag"), "\"2\"");
    let ada = shop.login("ada").await;
    shop.get("/users").by(&ada).send().await.expect(200);
    shop.give_roles(&admin, &ada, json!(["customer"]))
        .await
        .expect(200);
    // The token still says `*:read`; what counts is what its bearer may do now.
    shop.get("/users")
        .by(&ada)
        .send()
        .await
        .refused(403, "FORBIDDEN");
}

#[tokio::test]
async fn only_roles_that_exist_can_be_given() {
    let shop = Shop::open().await;
    let (admin, ada) = (shop.admin().await, shop.register("ada").await);
    let too_many = json!(["customer", "customer", "customer", "customer"]);
    for roles in [
        too_many,
        json!(["root"]),
        json!([]),
        json!("admin"),
        json!(["Admin"]),
        json!([null]),
    ] {
        let reply = shop.give_roles(&admin, &ada, roles).await;
        reply.refused(422, "VALIDATION_FAILED");
    }
    let nobody = User::unknown();
    let reply = shop.give_roles(&admin, &nobody, json!(["staff"])).await;
    reply.refused(404, "USER_NOT_FOUND");
}

#[tokio::test]
async fn the_last_administrator_stays_one() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let suspend = json!({"status": "suspended"});
    let demote = || shop.give_roles(&admin, &admin, json!(["customer"]));
    let suspended = || {
        shop.put(&format!("{}/status", admin.path()))
            .by(&admin)
            .json(suspend.clone())
            .send()
    };
    let deleted = || shop.delete(&admin.path()).by(&admin).send();
    demote().await.refused(409, "LAST_ADMIN");
    suspended().await.refused(409, "LAST_ADMIN");
    deleted().await.refused(409, "LAST_ADMIN");
    let second = shop.register("second").await;
    shop.give_roles(&admin, &second, json!(["admin"]))
        .await
        .expect(200);
    demote().await.expect(200);
}

#[tokio::test]
async fn two_administrators_cannot_demote_each_other_at_once() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let second = shop.register("second").await;
    shop.give_roles(&admin, &second, json!(["admin"]))
        .await
        .expect(200);
    let second = shop.login("second").await;
    let (one, other) = tokio::join!(
        shop.give_roles(&admin, &second, json!(["customer"])),
        shop.give_roles(&second, &admin, json!(["customer"])),
    );
    let demoted = [one.status, other.status]
        .iter()
        .filter(|status| **status == 200)
        .count();
    assert_eq!(demoted, 1, "{} {}", one.body, other.body);
}

#[tokio::test]
async fn a_suspended_user_is_out_at_once_until_it_is_let_in_again() {
    let shop = Shop::open().await;
    let (admin, ada) = (shop.admin().await, shop.register("ada").await);
    shop.get("/users/me").by(&ada).send().await.expect(200);
    let reply = shop.set_status(&admin, &ada, "suspended").await;
    assert_eq!(reply.expect(200)["status"], "suspended");
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
    shop.set_status(&admin, &ada, "active").await.expect(200);
    shop.get("/users/me")
        .by(&ada)
        .send()
        .await
        .refused(401, "UNAUTHENTICATED");
    shop.try_login("ada").await.expect(200);
    shop.set_status(&admin, &ada, "retired")
        .await
        .refused(422, "VALIDATION_FAILED");
}

#[tokio::test]
async fn a_token_that_is_not_ours_lets_nobody_in() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let (head, rest) = ada.access_token.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    for token in [
        "x".to_owned(),
        format!("{head}.{payload}."),
        format!(
            "{head}.{payload}.{}",
            signature.chars().rev().collect::<String>()
        ),
        ada.refresh_token.clone(),
        format!("{} ", ada.access_token),
    ] {
        let authorization = format!("Bearer {token}");
        let reply = shop
            .get("/users/me")
            .header("authorization", &authorization)
            .send()
            .await;
        reply.refused(401, "UNAUTHENTICATED");
        assert!(reply.header("www-authenticate").starts_with("Bearer"));
    }
}

#[tokio::test]
async fn the_public_keys_are_where_everybody_looks_for_them() {
    let shop = Shop::open().await;
    let reply = shop.root("/.well-known/jwks.json").await;
    assert_eq!(reply.status, 200);
    let keys = reply.body["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0]["crv"], "Ed25519");
    assert_eq!(keys[0].get("d"), None::<&Value>);
    assert_eq!(reply.header("cache-control"), "public, max-age=600");
}
