//! Registering, logging in, and how sessions end.

use serde_json::{Value, json};

use crate::support::{Answer, Caller, PASSWORD, Shop};

#[tokio::test]
async fn a_customer_registers_and_logs_in_by_name_or_address() {
    let shop = Shop::start().await;
    let ada = shop.customer("Ada99").await;
    let me = ada.get("/users/me").send().await.expect(200);
    assert_eq!(me.text_at("/username"), "ada99");
    assert_eq!(me.data()["roles"], json!(["customer"]));
    assert_eq!(me.text_at("/status"), "active");
    assert!(!me.text.contains("password"), "{}", me.text);
    for login in ["ADA99", "Ada99@Example.com"] {
        let tokens = log_in(&shop.anyone(), login, PASSWORD).await.expect(200);
        assert_eq!(tokens.text_at("/token_type"), "Bearer");
        assert_eq!(tokens.number_at("/expires_in"), 900);
        assert_eq!(tokens.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_look_alike() {
    let shop = Shop::start().await;
    shop.customer("ada").await;
    let wrong = log_in(&shop.anyone(), "ada", "not her password")
        .await
        .expect(401);
    let unknown = log_in(&shop.anyone(), "nobody", "not her password")
        .await
        .expect(401);
    assert_eq!(
        (wrong.code(), wrong.details()),
        (unknown.code(), unknown.details())
    );
    assert!(wrong.header("www-authenticate").is_some());
}

#[tokio::test]
async fn a_taken_name_or_address_is_a_conflict() {
    let shop = Shop::start().await;
    shop.customer("ada").await;
    let register = |email: &str, username: &str| {
        let body = json!({"email": email, "username": username, "password": PASSWORD});
        shop.anyone().post("/users").json(&body).send()
    };
    register("ADA@example.com", "other")
        .await
        .expect_error(409, "EMAIL_TAKEN");
    register("other@example.com", "ADA")
        .await
        .expect_error(409, "USERNAME_TAKEN");
    register("other@example.com", "other").await.expect(201);
}

#[tokio::test]
async fn a_refresh_token_is_good_for_one_new_pair() {
    let shop = Shop::start().await;
    let mut ada = shop.customer("ada").await;
    for _ in 0..3 {
        let pair = refresh(&ada, &ada.refresh).await.expect(200);
        assert_ne!(pair.text_at("/refresh_token"), ada.refresh);
        ada.refresh = pair.text_at("/refresh_token");
        ada.token = pair.text_at("/access_token");
        ada.get("/users/me").send().await.expect(200);
    }
}

#[tokio::test]
async fn e4_reuse_of_a_refresh_token_ends_its_whole_family_and_no_other() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let mut phone = shop.anyone();
    phone.log_in("ada", PASSWORD).await;
    let stolen = ada.refresh.clone();
    let pair = refresh(&ada, &stolen).await.expect(200);

    refresh(&ada, &stolen).await.expect(401);

    refresh(&ada, &pair.text_at("/refresh_token"))
        .await
        .expect(401);
    refresh(&phone, &phone.refresh).await.expect(200);
}

#[tokio::test]
async fn e5_of_many_who_refresh_at_once_at_most_one_gets_a_pair() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let answers =
        futures_util::future::join_all((0..12).map(|_| refresh(&ada, &ada.refresh))).await;
    let given = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(
        given,
        1,
        "{:?}",
        answers
            .iter()
            .map(|answer| answer.status)
            .collect::<Vec<_>>()
    );
    // The losers looked like a thief, so the winner's token is dead as well.
    let winner = answers.iter().find(|answer| answer.status == 200).unwrap();
    refresh(&ada, &winner.text_at("/refresh_token"))
        .await
        .expect(401);
}

#[tokio::test]
async fn e6_a_used_refresh_token_stays_used_over_a_restart() {
    let mut shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    refresh(&ada, &ada.refresh).await.expect(200);
    shop.process.kill().unwrap();
    shop.restart().await;
    refresh(&ada, &ada.refresh).await.expect(401);
}

#[tokio::test]
async fn logging_out_ends_this_session_or_all() {
    let shop = Shop::start().await;
    let (mut ada, mut phone) = (shop.customer("ada").await, shop.anyone());
    phone.log_in("ada", PASSWORD).await;
    let sessions = ada.get("/auth/sessions").send().await.expect(200).data();
    assert_eq!(sessions.as_array().unwrap().len(), 2, "{sessions}");
    assert!(sessions[0]["created_at"].is_string() && sessions[0]["last_used_at"].is_string());

    let answer = ada.post("/auth/logout").json(&json!({})).send().await;
    assert!(matches!(answer.status, 200 | 204), "{}", answer.text);
    refresh(&ada, &ada.refresh).await.expect(401);
    refresh(&phone, &phone.refresh).await.expect(200);

    ada.log_in("ada", PASSWORD).await;
    phone.log_in("ada", PASSWORD).await;
    let answer = ada
        .post("/auth/logout")
        .json(&json!({"all": true}))
        .send()
        .await;
    assert!(matches!(answer.status, 200 | 204), "{}", answer.text);
    refresh(&phone, &phone.refresh).await.expect(401);
}

#[tokio::test]
async fn a_session_tells_its_device_as_the_user_named_it_or_the_client() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    let log_in = |device: Value| {
        let body = json!({"login": "ada", "password": PASSWORD, "device": device});
        let asked = ada
            .post("/auth/login")
            .header("user-agent", "shop-app/1")
            .json(&body);
        asked.send()
    };
    log_in(json!("Ada's telephone")).await.expect(200);
    log_in(json!(" ")).await.expect(200);
    log_in(json!("x".repeat(201)))
        .await
        .expect_error(422, "VALIDATION_FAILED");
    let sessions = ada.get("/auth/sessions").send().await.expect(200).data();
    let of = |what: &str| {
        let sessions = sessions.as_array().unwrap().iter();
        sessions
            .map(|session| session[what].clone())
            .collect::<Vec<_>>()
    };
    let devices = of("device");
    assert!(devices.contains(&json!("Ada's telephone")), "{sessions}");
    assert!(devices.contains(&json!("shop-app/1")), "{sessions}");
    assert!(
        of("address").iter().all(|address| address == "127.0.0.1"),
        "{sessions}"
    );
}

#[tokio::test]
async fn a_session_can_be_ended_from_another_one() {
    let shop = Shop::start().await;
    let (ada, mut phone) = (shop.customer("ada").await, shop.anyone());
    phone.log_in("ada", PASSWORD).await;
    let before = session_ids(&ada).await;
    refresh(&phone, &phone.refresh).await.expect(200);
    let mallory = shop.customer("mallory").await;
    for id in &before {
        let answer = mallory.delete(&format!("/auth/sessions/{id}")).send().await;
        assert_eq!(answer.status, 404, "{}", answer.text);
    }
    for id in &before {
        ada.delete(&format!("/auth/sessions/{id}"))
            .send()
            .await
            .expect(204);
    }
    refresh(&ada, &ada.refresh).await.expect(401);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let shop = Shop::start().await;
    let (ada, mut phone) = (shop.customer("ada").await, shop.anyone());
    phone.log_in("ada", PASSWORD).await;
    let change = |current: &str| {
        let body = json!({"current_password": current, "new_password": "another password"});
        ada.post("/auth/password").json(&body).send()
    };
    let wrong = change("not her password").await;
    assert!((400..500).contains(&wrong.status), "{}", wrong.text);
    let changed = change(PASSWORD).await;
    assert!(matches!(changed.status, 200 | 204), "{}", changed.text);

    refresh(&phone, &phone.refresh).await.expect(401);
    refresh(&ada, &ada.refresh).await.expect(200);
    log_in(&ada, "ada", PASSWORD).await.expect(401);
    log_in(&ada, "ada", "another password").await.expect(200);
}

#[tokio::test]
async fn a_deleted_user_is_gone_and_leaves_name_and_address_free() {
    let shop = Shop::start().await;
    let ada = shop.customer("ada").await;
    ada.delete(&format!("/users/{}", ada.id))
        .send()
        .await
        .expect(204);
    refresh(&ada, &ada.refresh).await.expect(401);
    log_in(&ada, "ada", PASSWORD).await.expect(401);
    let reborn = shop.customer("ada").await;
    assert_ne!(reborn.id, ada.id);
}

#[tokio::test]
async fn a_suspended_user_cannot_log_in() {
    let shop = Shop::start().await;
    let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
    let status = |status: &str| {
        let path = format!("/users/{}/status", ada.id);
        admin.put(&path).json(&json!({"status": status})).send()
    };
    status("suspended").await.expect(200);
    log_in(&ada, "ada", PASSWORD).await.expect(401);
    refresh(&ada, &ada.refresh).await.expect(401);
    status("active").await.expect(200);
    log_in(&ada, "ada", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn the_public_keys_are_published() {
    let shop = Shop::start().await;
    let keys: Value = shop
        .fetch("/.well-known/jwks.json")
        .send()
        .await
        .expect(200)
        .json();
    let keys = keys["keys"].as_array().unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        assert!(
            key["kid"].is_string() && key.get("d").is_none() && key.get("k").is_none(),
            "{key}"
        );
    }
}

async fn log_in(caller: &Caller, login: &str, password: &str) -> Answer {
    let body = json!({"login": login, "password": password});
    caller.post("/auth/login").json(&body).send().await
}

async fn refresh(caller: &Caller, token: &str) -> Answer {
    let mut anonymous = caller.clone();
    anonymous.token.clear();
    anonymous
        .post("/auth/refresh")
        .json(&json!({"refresh_token": token}))
        .send()
        .await
}

async fn session_ids(caller: &Caller) -> Vec<String> {
    let sessions = caller.get("/auth/sessions").send().await.expect(200).data();
    let ids = sessions.as_array().unwrap().iter();
    ids.map(|session| session["id"].as_str().unwrap().to_owned())
        .collect()
}
