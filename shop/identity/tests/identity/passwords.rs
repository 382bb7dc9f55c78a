use serde_json::json;

use crate::support::{PASSWORD, Shop};

const NEW: &str = "an even better one";

#[tokio::test]
async fn a_changed_password_lets_in_and_ends_the_other_sessions() {
    let shop = Shop::open().await;
    let (ada, elsewhere) = (shop.register("ada").await, shop.login("ada").await);
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    assert_eq!(
        shop.post("/auth/password")
            .by(&ada)
            .json(body)
            .send()
            .await
            .status,
        204
    );
    shop.get("/users/me").by(&ada).send().await.expect(200);
    shop.get("/users/me")
        .by(&elsewhere)
        .send()
        .await
        .refused(401, "UNAUTHENTICATED");
    let refresh = json!({"refresh_token": elsewhere.refresh_token});
    shop.post("/auth/refresh")
        .json(refresh)
        .send()
        .await
        .refused(401, "UNAUTHENTICATED");
    shop.try_login("ada").await.refused(401, "UNAUTHENTICATED");
    let login = json!({"login": "ada", "password": NEW});
    shop.post("/auth/login")
        .json(login)
        .send()
        .await
        .expect(200);
}

#[tokio::test]
async fn a_password_is_not_changed_without_the_current_one() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let body = json!({"current_password": "a wrong one", "new_password": NEW});
    let reply = shop.post("/auth/password").by(&ada).json(body).send().await;
    let error = reply.refused(422, "VALIDATION_FAILED");
    assert_eq!(
        error["details"]["fields"]["current_password"],
        json!(["is wrong"])
    );
    shop.try_login("ada").await.expect(200);
}

#[tokio::test]
async fn a_new_password_obeys_the_rules() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let body = json!({"current_password": PASSWORD, "new_password": "short"});
    let reply = shop.post("/auth/password").by(&ada).json(body).send().await;
    let error = reply.refused(422, "VALIDATION_FAILED");
    assert!(error["details"]["fields"]["new_password"].is_array());
}

#[tokio::test]
async fn of_two_changes_at_once_one_wins() {
    let shop = Shop::open().await;
    let ada = shop.register("ada").await;
    let change = |new: &str| {
        let body = json!({"current_password": PASSWORD, "new_password": new});
        shop.post("/auth/password").by(&ada).json(body).send()
    };
    let (one, other) = tokio::join!(change("the first new one"), change("the second new one"));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 422]);
}
