//! API keys of users.

use std::time::Duration;

use serde_json::{Value, json};
use stanchion::auth::api_key::ApiKey;
use stanchion::sql::params;
use tokio::time::Instant;

use crate::support::{Reply, Shop, User};

async fn create(shop: &Shop, user: &User, body: Value) -> Reply {
    shop.post("/auth/api-keys").by(user).json(body).send().await
}

/// Somebody who bears that key.
pub(crate) fn bearer(reply: &Reply) -> User {
    let key = reply.expect(201)["key"].as_str().unwrap();
    assert!(key.starts_with("sk_") && key.len() == 50, "{key}");
    User {
        access_token: key.to_owned(),
        ..User::unknown()
    }
}

async fn key_of(shop: &Shop, user: &User, scopes: &[&str]) -> (User, String) {
    let reply = create(shop, user, json!({"name": "a key", "scopes": scopes})).await;
    let path = format!(
        "/auth/api-keys/{}",
        reply.expect(201)["id"].as_str().unwrap()
    );
    (bearer(&reply), path)
}

pub(crate) async fn me(shop: &Shop, bearer: &User) -> Reply {
    shop.get("/users/me").by(bearer).send().await
}

#[tokio::test]
async fn a_key_acts_as_its_owner_and_is_shown_once() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let reply = create(&shop, &ada, json!({"name": "nightly export"})).await;
    let made = reply.expect(201);
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert_eq!(made["owner"], json!(ada.id));
    assert_eq!(made["hint"], format!("{}…", &key[..7]));
    assert_eq!(
        reply.header("location"),
        format!("/api/v1/auth/api-keys/{id}")
    );
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(
        me(&shop, &bearer(&reply)).await.expect(200)["id"],
        json!(ada.id)
    );

    let listed = shop.get("/auth/api-keys").by(&ada).send().await;
    let listed_keys = listed.expect(200).as_array().unwrap().clone();
    assert_eq!(listed_keys.len(), 1);
    assert_eq!(listed_keys[0]["name"], "nightly export");
    assert!(
        !listed.body.to_string().contains(key),
        "the key is shown once"
    );
    let stored = shop.db.one("select hash from api_keys", params![]).await;
    let stored = stored.unwrap();
    let hash: &[u8] = stored.get(0).unwrap();
    assert_eq!(hash, ApiKey::parse(key).unwrap().hash().as_bytes());
    let recorded = shop.recorded("api_key_created").await;
    assert_eq!(recorded, [json!({"key_id": id, "owner": ada.id})]);
}

#[tokio::test]
async fn a_key_may_what_its_scopes_say_and_its_owner_may() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let staff = shop.staff("sam", &admin).await;
    let (reader, _) = key_of(&shop, &staff, &["user:read"]).await;
    let (other, _) = key_of(&shop, &staff, &["order:read"]).await;
    shop.get("/users").by(&reader).send().await.expect(200);
    shop.get("/users")
        .by(&other)
        .send()
        .await
        .refused(403, "FORBIDDEN");
    shop.give_roles(&admin, &staff, json!(["customer"]))
        .await
        .expect(200);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    shop.get("/users")
        .by(&reader)
        .send()
        .await
        .refused(403, "FORBIDDEN");
    me(&shop, &reader).await.expect(200);
}

#[tokio::test]
async fn nobody_gives_away_what_it_does_not_hold() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let (ada, staff) = (shop.register("ada").await, shop.staff("sam", &admin).await);
    for (user, scope) in [
        (&ada, "user:read"),
        (&ada, "admin:*"),
        (&staff, "user:write"),
        (&staff, "order:*"),
        (&staff, "identity:ask"),
        (&staff, "User:Read"),
        (&staff, ""),
    ] {
        let reply = create(&shop, user, json!({"name": "x", "scopes": [scope]})).await;
        let error = reply.refused(422, "VALIDATION_FAILED");
        assert!(error["details"]["fields"]["scopes"].is_array(), "{scope}");
    }
}

#[tokio::test]
async fn a_key_makes_no_key_and_reaches_no_session_and_no_password() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let (key, path) = key_of(&shop, &admin, &["admin:*"]).await;
    create(&shop, &key, json!({"name": "child"}))
        .await
        .refused(403, "FORBIDDEN");
    for (method, path) in [
        ("GET", "/auth/api-keys"),
        ("DELETE", path.as_str()),
        ("GET", "/auth/sessions"),
        ("POST", "/auth/logout"),
    ] {
        let reply = shop.request(method, path).by(&key).send().await;
        reply.refused(403, "FORBIDDEN");
    }
    let service = json!({"name": "x", "scopes": ["order:read"]});
    let path = "/auth/services/warehouse/api-keys";
    let reply = shop.post(path).by(&key).json(service).send().await;
    reply.refused(403, "FORBIDDEN");
    let body = json!({"current_password": "x", "new_password": "long enough for it"});
    let reply = shop.post("/auth/password").by(&key).json(body).send().await;
    reply.refused(403, "FORBIDDEN");
    let body = json!({"refresh_token": key.access_token});
    let reply = shop.post("/auth/refresh").json(body).send().await;
    reply.refused(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn what_is_revoked_is_refused_here_at_once_and_elsewhere_within_a_second() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let ada = shop.register("ada").await;
    let (key, path) = key_of(&shop, &ada, &[]).await;
    for process in [&shop, &replica] {
        me(process, &key).await.expect(200);
    }
    assert_eq!(shop.delete(&path).by(&ada).send().await.status, 204);
    let revoked = Instant::now();
    me(&shop, &key).await.refused(401, "UNAUTHENTICATED");
    while me(&replica, &key).await.status != 401 {
        assert!(
            revoked.elapsed() < Duration::from_millis(1_500),
            "it still counts"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let again = shop.delete(&path).by(&ada).send().await;
    again.refused(404, "API_KEY_NOT_FOUND");
    let recorded = shop.recorded("api_key_revoked").await;
    assert_eq!(recorded.len(), 1);
}

#[tokio::test]
async fn a_key_ends_with_its_time_and_with_its_owner() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let ada = shop.register("ada").await;
    let past = json!({"name": "x", "expires_at": "2020-01-01T00:00:00Z"});
    create(&shop, &ada, past)
        .await
        .refused(422, "VALIDATION_FAILED");
    let far = json!({"name": "x", "expires_at": "2090-01-01T00:00:00Z"});
    let ending = bearer(&create(&shop, &ada, far).await);
    me(&shop, &ending).await.expect(200);
    shop.exec("update api_keys set expires_at = created_at")
        .await;
    let (key, _) = key_of(&shop, &ada, &[]).await;
    me(&shop, &key).await.expect(200);
    shop.set_status(&admin, &ada, "suspended").await.expect(200);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for ended in [&ending, &key] {
        me(&shop, ended).await.refused(401, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn a_key_is_its_owners_alone() {
    let shop = Shop::open().await;
    let (ada, eve) = (shop.register("ada").await, shop.register("eve").await);
    let (key, path) = key_of(&shop, &ada, &[]).await;
    let reply = shop.delete(&path).by(&eve).send().await;
    reply.refused(404, "API_KEY_NOT_FOUND");
    let reply = shop.get("/auth/api-keys").by(&eve).send().await;
    assert_eq!(reply.expect(200), &json!([]));
    me(&shop, &key).await.expect(200);
}

#[tokio::test]
async fn what_is_no_key_is_nobody() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let (key, _) = key_of(&shop, &ada, &[]).await;
    let text = &key.access_token;
    for wrong in [
        "sk_",
        &text[..49],
        &format!("{text}0"),
        &text.to_lowercase(),
        "sk_' or 1=1",
    ] {
        let wrong = User {
            access_token: wrong.to_owned(),
            ..User::unknown()
        };
        me(&shop, &wrong).await.refused(401, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn the_last_use_is_noted_without_a_write_a_request() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let (key, _) = key_of(&shop, &ada, &[]).await;
    let seen = async || {
        let reply = shop.get("/auth/api-keys").by(&ada).send().await;
        reply.expect(200)[0].get("last_used_at").cloned()
    };
    assert_eq!(seen().await, None);
    me(&shop, &key).await.expect(200);
    let first = seen().await.expect("it was used");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    me(&shop, &key).await.expect(200);
    assert_eq!(
        seen().await,
        Some(first),
        "a use within the minute writes nothing"
    );
    // Microseconds, in 2020.
    shop.exec("update api_keys set last_used_at = 1577836800000000")
        .await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    me(&shop, &key).await.expect(200);
    let later = seen().await.expect("it was used");
    assert!(later.as_str().unwrap() > "2026", "{later}");
}

#[tokio::test]
async fn an_owner_has_at_most_fifty_keys() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    for _ in 0..50 {
        create(&shop, &ada, json!({"name": "x"})).await.expect(201);
    }
    let beyond = create(&shop, &ada, json!({"name": "x"})).await;
    beyond.refused(409, "TOO_MANY_API_KEYS");
}

#[tokio::test]
async fn keys_that_have_ended_by_themselves_make_room() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let far = json!({"name": "x", "expires_at": "2090-01-01T00:00:00Z"});
    for _ in 0..50 {
        create(&shop, &ada, far.clone()).await.expect(201);
    }
    create(&shop, &ada, far.clone())
        .await
        .refused(409, "TOO_MANY_API_KEYS");
    shop.exec("update api_keys set expires_at = created_at")
        .await;
    let (_, path) = key_of(&shop, &ada, &[]).await;
    assert_eq!(shop.rows("select id from api_keys").await, 1);
    assert_eq!(shop.delete(&path).by(&ada).send().await.status, 204);
    assert_eq!(shop.rows("select id from api_keys").await, 0);
}

/// The address is where a letter to set a password anew goes: whoever may give a user another one can become that user.
#[tokio::test]
async fn a_key_takes_no_account_over_and_ends_none() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let ada = shop.register("ada").await;
    let (key, _) = key_of(&shop, &ada, &[]).await;
    let (admins, _) = key_of(&shop, &admin, &["user:write"]).await;
    let address = json!({"email": "eve@example.com"});
    let patch = async |by: &User, path: &str, body: &Value| {
        let kind = "application/merge-patch+json";
        let ask = shop.patch(path).by(by).header("content-type", kind);
        ask.json(body.clone()).send().await
    };
    let itself = patch(&key, &ada.path(), &address).await;
    itself.refused(403, "FORBIDDEN");
    let itself = patch(&admins, &admin.path(), &address).await;
    itself.refused(403, "FORBIDDEN");
    let deleted = shop.delete(&ada.path()).by(&key).send().await;
    deleted.refused(403, "FORBIDDEN");
    let session = shop.sessions(&ada).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/auth/sessions/{session}");
    let ended = shop.delete(&path).by(&key).send().await;
    ended.refused(403, "FORBIDDEN");
    let name = json!({"first_name": "Augusta"});
    patch(&key, &ada.path(), &name).await.expect(200);
    // Of another user who may no more than the key it is what the permission says.
    patch(&admins, &ada.path(), &address).await.expect(200);

    let service = json!({"name": "x", "scopes": ["user:read", "user:write"]});
    let made = shop.post("/auth/services/desk/api-keys").by(&admin);
    let desk = bearer(&made.json(service).send().await);
    let staff = shop.staff("sam", &admin).await;
    let other = json!({"email": "mallory@example.com"});
    for stronger in [&staff, &admin] {
        let taken = patch(&desk, &stronger.path(), &other).await;
        taken.refused(403, "FORBIDDEN");
        let deleted = shop.delete(&stronger.path()).by(&desk).send().await;
        deleted.refused(403, "FORBIDDEN");
    }
    patch(&admin, &staff.path(), &other).await.expect(200);
}
