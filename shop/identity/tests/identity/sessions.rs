use serde_json::json;

use crate::support::Shop;

#[tokio::test]
async fn a_user_sees_where_it_is_logged_in() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let body = json!({"login": "ada", "password": crate::support::PASSWORD});
    let phone = shop
        .post("/auth/login")
        .header("user-agent", "phone/1")
        .json(body)
        .send()
        .await;
    phone.expect(200);
    let sessions = shop.sessions(&ada).await;
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions[0]["device"], "phone/1");
    let current: Vec<_> = sessions
        .iter()
        .map(|session| session["current"] == true)
        .collect();
    assert_eq!(current, [false, true]);
    for session in &sessions {
        assert!(session["created_at"].is_string() && session["last_used_at"].is_string());
    }
}

#[tokio::test]
async fn a_logout_ends_the_session_of_its_token_alone() {
    let shop = Shop::open().await;
    let (ada, elsewhere) = (shop.register("ada").await, shop.login("ada").await);
    shop.get("/users/me").by(&ada).send().await.expect(200);
    assert_eq!(shop.post("/auth/logout").by(&ada).send().await.status, 204);
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
    shop.get("/users/me")
        .by(&elsewhere)
        .send()
        .await
        .expect(200);
}

#[tokio::test]
async fn a_logout_of_all_ends_every_session_of_the_user_and_of_nobody_else() {
    let shop = Shop::open().await;
    let (ada, elsewhere) = (shop.register("ada").await, shop.login("ada").await);
    let bob = shop.register("bob").await;
    let reply = shop
        .post("/auth/logout")
        .by(&ada)
        .json(json!({"all": true}))
        .send()
        .await;
    assert_eq!(reply.status, 204);
    for gone in [&ada, &elsewhere] {
        shop.get("/users/me")
            .by(gone)
            .send()
            .await
            .refused(401, "UNAUTHENTICATED");
    }
    shop.get("/users/me").by(&bob).send().await.expect(200);
}

#[tokio::test]
async fn a_session_elsewhere_can_be_ended_by_its_user_alone() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.register("ada").await, shop.register("bob").await);
    let elsewhere = shop.login("ada").await;
    let sessions = shop.sessions(&ada).await;
    let path = format!("/auth/sessions/{}", sessions[0]["id"].as_str().unwrap());
    shop.delete(&path)
        .by(&bob)
        .send()
        .await
        .refused(404, "SESSION_NOT_FOUND");
    shop.get("/users/me")
        .by(&elsewhere)
        .send()
        .await
        .expect(200);
    assert_eq!(shop.delete(&path).by(&ada).send().await.status, 204);
    shop.get("/users/me")
        .by(&elsewhere)
        .send()
        .await
        .refused(401, "UNAUTHENTICATED");
    shop.delete(&path)
        .by(&ada)
        .send()
        .await
        .refused(404, "SESSION_NOT_FOUND");
    shop.get("/users/me").by(&ada).send().await.expect(200);
}

#[tokio::test]
async fn a_logout_takes_nothing_but_all() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    for (body, status, code) in [
        (json!({"everything": true}), 400, "UNKNOWN_FIELD"),
        (json!({"all": "yes"}), 422, "VALIDATION_FAILED"),
    ] {
        let reply = shop.post("/auth/logout").by(&ada).json(body).send().await;
        reply.refused(status, code);
    }
}

#[tokio::test]
async fn the_oldest_session_ends_when_there_are_too_many() {
    let shop = Shop::open().await;
    let first = shop.register("ada").await;
    for _ in 0..100 {
        shop.login("ada").await;
    }
    shop.get("/users/me")
        .by(&first)
        .send()
        .await
        .refused(401, "UNAUTHENTICATED");
    let last = shop.login("ada").await;
    assert_eq!(shop.sessions(&last).await.len(), 100);
}
