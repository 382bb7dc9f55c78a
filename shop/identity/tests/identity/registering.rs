use serde_json::json;
use stanchion::runtime::task;

use crate::support::{Shop, registration};

#[tokio::test]
async fn anybody_can_become_a_customer() {
    let shop = Shop::open().await;
    let reply = shop.post("/users").json(registration("Ada")).send().await;
    let user = reply.expect(201);
    assert_eq!(user["email"], "Ada@example.com");
    assert_eq!(user["username"], "ada");
    assert_eq!(user["roles"], json!(["customer"]));
    assert_eq!(user["status"], "active");
    assert_eq!(user["version"], 1);
    assert_eq!(user["first_name"], "Testa");
    assert!(user.get("last_name").is_none() && user.get("last_login_at").is_none());
    let id = user["id"].as_str().unwrap();
    assert_eq!(reply.header("location"), format!("/api/v1/users/{id}"));
    assert_eq!(reply.header("etag"), "\"1\"");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(reply.body["meta"]["consistency_token"].is_string());
}

#[tokio::test]
async fn a_password_is_in_no_answer() {
    let shop = Shop::open().await;
    let reply = shop.post("/users").json(registration("ada")).send().await;
    let shown = reply.body.to_string();
    assert!(!shown.contains("password") && !shown.contains("argon2"));
}

#[tokio::test]
async fn nobody_becomes_more_than_a_customer_by_asking() {
    let shop = Shop::open().await;
    for (field, value) in [
        ("roles", json!(["admin"])),
        ("role", json!("admin")),
        ("status", json!("active")),
        ("id", json!("01900000-0000-7000-8000-000000000000")),
        ("version", json!(7)),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("deleted_at", json!(null)),
        ("password_hash", json!("$argon2id$")),
    ] {
        let mut body = registration("mallory");
        body[field] = value;
        let reply = shop.post("/users").json(body).send().await;
        let error = reply.refused(400, "UNKNOWN_FIELD");
        assert_eq!(error["details"]["field"], field);
    }
}

#[tokio::test]
async fn an_address_and_a_username_are_taken_in_every_spelling() {
    let shop = Shop::open().await;
    shop.register("ada").await;
    for twin in ["ada@example.com", "ADA@EXAMPLE.COM", " ada@Example.Com "] {
        let mut body = registration("other");
        body["email"] = json!(twin);
        let reply = shop.post("/users").json(body).send().await;
        reply.refused(409, "EMAIL_TAKEN");
    }
    for twin in ["ada", "ADA", "Ada"] {
        let mut body = registration("other");
        body["username"] = json!(twin);
        let reply = shop.post("/users").json(body).send().await;
        reply.refused(409, "USERNAME_TAKEN");
    }
}

#[tokio::test]
async fn of_several_who_ask_for_one_username_at_once_one_gets_it() {
    let shop = Shop::open().await;
    let asking = (0..8).map(|n| {
        let mut body = registration("ada");
        body["email"] = json!(format!("ada{n}@example.com"));
        let shop = shop.clone();
        task::spawn("request", async move {
            shop.post("/users").json(body).send().await.status
        })
    });
    let mut got = Vec::new();
    for asked in asking.collect::<Vec<_>>() {
        got.push(asked.await.unwrap());
    }
    assert_eq!(
        got.iter().filter(|status| **status == 201).count(),
        1,
        "{got:?}"
    );
    assert!(
        got.iter().all(|status| [201, 409, 503].contains(status)),
        "{got:?}"
    );
}

#[tokio::test]
async fn every_broken_rule_is_named() {
    let shop = Shop::open().await;
    let body = json!({
        "email": "nobody", "username": "a b", "password": "short", "first_name": "", "last_name": "x".repeat(101),
    });
    let reply = shop.post("/users").json(body).send().await;
    let error = reply.refused(422, "VALIDATION_FAILED");
    let fields = error["details"]["fields"].as_object().unwrap();
    let mut names: Vec<_> = fields.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["email", "first_name", "last_name", "password", "username"]
    );
    assert!(!reply.body.to_string().contains("short"));
}

#[tokio::test]
async fn a_password_of_8_to_256_characters_is_accepted() {
    let shop = Shop::open().await;
    for (name, password, status) in [
        ("seven", "1234567".to_owned(), 422),
        ("eight", "12345678".to_owned(), 201),
        ("most", "ä".repeat(256), 201),
        ("more", "a".repeat(257), 422),
    ] {
        let mut body = registration(name);
        body["password"] = json!(password);
        let reply = shop.post("/users").json(body).send().await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
    }
}

#[tokio::test]
async fn what_is_no_registration_is_refused() {
    let shop = Shop::open().await;
    for (text, status, code) in [
        ("{", 400, "MALFORMED_JSON"),
        ("{}", 422, "VALIDATION_FAILED"),
        ("[]", 422, "VALIDATION_FAILED"),
        (r#"{"email": 7}"#, 422, "VALIDATION_FAILED"),
    ] {
        let reply = shop.post("/users").text(text).send().await;
        reply.refused(status, code);
    }
    let reply = shop
        .post("/users")
        .text("x")
        .header("content-type", "text/plain")
        .send()
        .await;
    reply.refused(415, "UNSUPPORTED_MEDIA_TYPE");
}
