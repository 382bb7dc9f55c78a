use serde_json::json;
use stanchion::runtime::task;

use crate::support::{PASSWORD, Shop};

#[tokio::test]
async fn a_login_gives_tokens() {
    let shop = Shop::open().await;
    shop.register("ada").await;
    let reply = shop.try_login("ada").await;
    let tokens = reply.expect(200);
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 900);
    assert!(tokens["refresh_token"].as_str().unwrap().starts_with("rt_"));
    assert_eq!(
        tokens["access_token"].as_str().unwrap().split('.').count(),
        3
    );
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_login_is_an_address_or_a_username_in_any_case() {
    let shop = Shop::open().await;
    shop.register("ada").await;
    for login in ["ada", "ADA", " ada ", "ada@example.com", "ADA@EXAMPLE.com"] {
        shop.try_login(login).await.expect(200);
    }
}

#[tokio::test]
async fn whatever_is_wrong_the_refusal_is_the_same() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    shop.register("ada").await;
    let suspended = shop.register("sue").await;
    shop.set_status(&admin, &suspended, "suspended")
        .await
        .expect(200);
    let deleted = shop.register("del").await;
    shop.delete(&deleted.path()).by(&deleted).send().await;
    let attempts = [
        ("ada", "another password"),
        ("ada@example.com", "another password"),
        ("nobody", PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("sue", PASSWORD),
        ("sue", "another password"),
        ("del", PASSWORD),
        ("ada", "short"),
        ("ada", ""),
        ("ada' or '1'='1", PASSWORD),
    ];
    let mut answers = Vec::new();
    for (login, password) in attempts {
        let body = json!({"login": login, "password": password});
        let reply = shop.post("/auth/login").json(body).send().await;
        reply.refused(401, "UNAUTHENTICATED");
        assert_eq!(reply.header("www-authenticate"), "Bearer");
        answers.push(reply.body["error"].clone());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_login_that_cannot_be_one_is_refused() {
    let shop = Shop::open().await;
    let long = "a".repeat(256);
    for (body, status, code) in [
        (
            json!({"login": "", "password": PASSWORD}),
            422,
            "VALIDATION_FAILED",
        ),
        (
            json!({"login": long, "password": PASSWORD}),
            422,
            "VALIDATION_FAILED",
        ),
        (json!({"login": "ada"}), 422, "VALIDATION_FAILED"),
        (
            json!({"login": "ada", "password": PASSWORD, "otp": 1}),
            400,
            "UNKNOWN_FIELD",
        ),
        (
            json!({"login": "ada", "password": "a".repeat(20_000)}),
            413,
            "PAYLOAD_TOO_LARGE",
        ),
    ] {
        shop.post("/auth/login")
            .json(body)
            .send()
            .await
            .refused(status, code);
    }
}

#[tokio::test]
async fn more_logins_than_can_be_hashed_are_shed_with_a_time_to_come_back() {
    let shop = Shop::with_slow_hashing().await;
    let logins = (0..12).map(|_| {
        let shop = shop.clone();
        task::spawn("request", async move { shop.try_login("nobody").await })
    });
    let mut shed = 0;
    for login in logins.collect::<Vec<_>>() {
        let reply = login.await.unwrap();
        if reply.status == 503 {
            reply.refused(503, "OVERLOADED");
            assert_eq!(reply.header("retry-after"), "1");
            shed += 1;
        } else {
            reply.refused(401, "UNAUTHENTICATED");
        }
    }
    assert!((1..12).contains(&shed), "{shed}");
}

#[tokio::test]
async fn an_idempotency_key_means_nothing_to_a_login() {
    let shop = Shop::open().await;
    shop.register("ada").await;
    let body = json!({"login": "ada", "password": PASSWORD});
    let login = || {
        shop.post("/auth/login")
            .header("idempotency-key", "one")
            .json(body.clone())
            .send()
    };
    let (first, second) = (login().await, login().await);
    assert_ne!(
        first.expect(200)["refresh_token"],
        second.expect(200)["refresh_token"]
    );
}

#[tokio::test]
async fn an_unknown_user_costs_as_much_hashing_as_a_known_one() {
    let shop = Shop::open().await;
    shop.register("ada").await;
    let hashed = || shop.passwords.stats().hashed;
    for login in ["ada", "nobody", "nobody@example.com"] {
        let before = hashed();
        let body = json!({"login": login, "password": "another password"});
        let reply = shop.post("/auth/login").json(body).send().await;
        reply.refused(401, "UNAUTHENTICATED");
        assert_eq!(hashed() - before, 1, "{login}");
    }
}
