use std::time::Duration;

use serde_json::json;
use shop_identity::AttemptSettings;
use stanchion::runtime::task;
use stanchion::sql::params;

use crate::support::{PASSWORD, Reply, Shop};

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

/// A wrong password for that login, from an address and perhaps from a device that shows that it is known.
async fn guess(shop: &Shop, login: &str, address: &str, device: Option<&str>) -> Reply {
    let body = json!({"login": login, "password": "another password"});
    let request = shop.post("/auth/login").sent_from(address).json(body);
    let request = match device {
        Some(device) => request.header("device-token", device),
        None => request,
    };
    request.send().await
}

/// Whoever asks the store for a user from now on is told that it cannot say.
async fn no_users(shop: &Shop) {
    let away = shop
        .db
        .exec("alter table users rename to users_away", params![]);
    away.await.unwrap();
}

#[tokio::test]
async fn a_refused_login_asks_the_store_nothing() {
    let day = Duration::from_secs(24 * 3_600);
    let shop = Shop::limited_by(&AttemptSettings {
        name_burst: 2,
        name_every: day,
        device_burst: 2,
        device_every: day,
        address_burst: 6,
        address_every: day,
        ..AttemptSettings::default()
    })
    .await;
    shop.register("ada").await;
    let device = shop.try_login("ada").await;
    let device = Some(device.header("device-token"));
    let fresh = shop.try_login("ada").await;
    let fresh = Some(fresh.header("device-token"));
    let (one, other, home) = ("203.0.113.1", "203.0.113.2", "198.51.100.7");
    for _ in 0..2 {
        for (login, address, device) in [
            ("ada", one, None),
            ("nobody", one, None),
            ("ada", home, device),
        ] {
            let reply = guess(&shop, login, address, device).await;
            reply.refused(401, "UNAUTHENTICATED");
        }
    }
    for login in ["carl", "dora"] {
        let reply = guess(&shop, login, one, None).await;
        reply.refused(401, "UNAUTHENTICATED");
    }

    no_users(&shop).await;
    let mut errors = Vec::new();
    for (login, address, device) in [
        ("ada", other, None),
        ("nobody", other, None),
        ("bob", one, None),
        ("ada", home, device),
        // The device is known under another name: it is counted like a stranger's.
        ("bob", one, fresh),
    ] {
        let reply = guess(&shop, login, address, device).await;
        reply.refused(429, "RATE_LIMITED");
        assert_ne!(reply.header("retry-after"), "", "{login} from {address}");
        errors.push(reply.body["error"].clone());
    }
    errors.dedup();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let asked = guess(&shop, "bob", other, None).await;
    assert!(asked.status >= 500, "{}", asked.body);
}

#[tokio::test]
async fn a_login_whose_password_cannot_be_hashed_now_asks_the_store_nothing() {
    let shop = Shop::open().await;
    let places: Vec<_> = std::iter::from_fn(|| shop.passwords.place().ok()).collect();
    no_users(&shop).await;
    let shed = guess(&shop, "ada", "203.0.113.1", None).await;
    shed.refused(503, "OVERLOADED");
    assert_eq!(shed.header("retry-after"), "1");
    drop(places);
    let asked = guess(&shop, "ada", "203.0.113.1", None).await;
    assert_ne!(asked.body["error"]["code"], "OVERLOADED");
}

#[tokio::test]
async fn strangers_take_no_known_device_its_place_to_hash() {
    let shop = Shop::limited().await;
    shop.register("ada").await;
    let device = shop.try_login("ada").await;
    let places: Vec<_> = std::iter::from_fn(|| shop.passwords.place().ok()).collect();
    shop.try_login("ada").await.refused(503, "OVERLOADED");
    let body = json!({"login": "ada", "password": PASSWORD});
    let at_home = shop.post("/auth/login");
    let at_home = at_home.header("device-token", device.header("device-token"));
    at_home.json(body).send().await.expect(200);
    drop(places);
}

#[tokio::test]
async fn a_login_that_could_not_be_looked_up_is_not_counted() {
    let shop = Shop::limited().await;
    no_users(&shop).await;
    for nth in 0..30 {
        let reply = guess(&shop, "ada", "203.0.113.1", None).await;
        assert!(reply.status >= 500, "{nth}: {}", reply.body);
    }
}

#[tokio::test]
async fn the_right_password_of_a_suspended_user_counts_as_a_wrong_one() {
    let shop = Shop::limited_by(&AttemptSettings {
        name_burst: 2,
        name_every: Duration::from_secs(24 * 3_600),
        ..AttemptSettings::default()
    })
    .await;
    let (admin, sue) = (shop.admin().await, shop.register("sue").await);
    shop.set_status(&admin, &sue, "suspended").await.expect(200);
    for status in [401, 401, 429] {
        let reply = shop.try_login("sue").await;
        assert_eq!(reply.status, status, "{}", reply.body);
    }
}

#[tokio::test]
async fn the_device_that_sets_another_password_is_let_in_whatever_others_have_used_up() {
    let shop = Shop::limited_by(&AttemptSettings {
        name_burst: 1,
        name_every: Duration::from_secs(24 * 3_600),
        ..AttemptSettings::default()
    })
    .await;
    let ada = shop.register("ada").await;
    let new = "an even better one";
    let body = json!({"current_password": PASSWORD, "new_password": new});
    let changed = shop.post("/auth/password").by(&ada).json(body);
    let changed = changed.send().await;
    assert_eq!(changed.status, 204, "{}", changed.body);
    for status in [401, 429] {
        let reply = guess(&shop, "ada", "203.0.113.1", None).await;
        assert_eq!(reply.status, status, "{}", reply.body);
    }
    let body = json!({"login": "ada", "password": new});
    let at_home = shop.post("/auth/login");
    let at_home = at_home.header("device-token", changed.header("device-token"));
    at_home.json(body).send().await.expect(200);
}

#[tokio::test]
async fn who_has_one_known_device_shuts_no_other_out() {
    let shop = Shop::limited_by(&AttemptSettings {
        failures_max: 8,
        device_burst: 100,
        ..AttemptSettings::default()
    })
    .await;
    shop.register("ada").await;
    let (stolen, home) = (shop.try_login("ada").await, shop.try_login("ada").await);
    let (stolen, home) = (stolen.header("device-token"), home.header("device-token"));
    assert_ne!(stolen, home);
    for nth in 0..5 {
        let reply = guess(&shop, "ada", "203.0.113.1", Some(stolen)).await;
        // A quarter of the failures that an account may have.
        let status = if nth < 2 { 401 } else { 429 };
        assert_eq!(reply.status, status, "{nth}: {}", reply.body);
    }
    let body = json!({"login": "ada", "password": PASSWORD});
    let at_home = shop.post("/auth/login").header("device-token", home);
    at_home.json(body).send().await.expect(200);
}
