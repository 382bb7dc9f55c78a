use serde_json::json;
use stanchion::sql::params;

use crate::support::{PASSWORD, Shop, registration};

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

/// Whoever has stolen a session must not find out the password by it.
#[tokio::test]
async fn the_current_password_is_not_guessed_by_whoever_has_a_session() {
    let shop = Shop::limited().await;
    let (ada, bob) = (shop.register("ada").await, shop.register("bob").await);
    let change = async |current: &str, by| {
        let body = json!({"current_password": current, "new_password": NEW});
        shop.post("/auth/password").by(by).json(body).send().await
    };
    for nth in 0..10 {
        let guess = change(&format!("guess number {nth}"), &ada).await;
        guess.refused(422, "VALIDATION_FAILED");
    }
    let hashed = shop.passwords.stats().hashed;
    change(PASSWORD, &ada).await.refused(429, "RATE_LIMITED");
    assert_eq!(shop.passwords.stats().hashed, hashed);
    // Neither a login nor anybody else is held up by it.
    shop.try_login("ada").await.expect(200);
    assert_eq!(change(PASSWORD, &bob).await.status, 204);
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
async fn blanks_around_a_password_belong_to_it() {
    let shop = Shop::open().await;
    let (given, new) = ("  two before, one after ", "\u{2003}another one  ");
    let mut body = registration("ada");
    body["password"] = json!(given);
    shop.post("/users").json(body).send().await.expect(201);
    let ada = shop.login_with("ada", given).await;
    refused(&shop, given.trim()).await;

    let body = json!({"current_password": given.trim(), "new_password": new});
    let reply = shop.post("/auth/password").by(&ada).json(body).send().await;
    reply.refused(422, "VALIDATION_FAILED");
    let body = json!({"current_password": given, "new_password": new});
    let reply = shop.post("/auth/password").by(&ada).json(body).send().await;
    assert_eq!(reply.status, 204, "{}", reply.body);

    shop.login_with("ada", new).await;
    for wrong in [given, new.trim(), new.trim_start(), new.trim_end()] {
        refused(&shop, wrong).await;
    }
}

#[tokio::test]
async fn a_password_is_the_same_however_its_letters_are_composed() {
    let shop = Shop::open().await;
    let mut body = registration("ada");
    body["password"] = json!("caf\u{e9} au lait");
    shop.post("/users").json(body).send().await.expect(201);
    shop.login_with("ada", "cafe\u{301} au lait").await;
}

async fn refused(shop: &Shop, password: &str) {
    let body = json!({"login": "ada", "password": password});
    let reply = shop.post("/auth/login").json(body).send().await;
    reply.refused(401, "UNAUTHENTICATED");
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

async fn hash_of_ada(shop: &Shop) -> String {
    let sql = "select password_hash from users where username = 'ada'";
    let row = shop.db.one(sql, params![]).await.unwrap();
    row.get(0).unwrap()
}

#[tokio::test]
async fn a_login_brings_a_hash_of_another_cost_to_that_of_today() {
    let former = Shop::open().await;
    former.register("ada").await;
    let cheap = hash_of_ada(&former).await;
    let shop = former.with_dearer_hashing().await;
    let wrong = json!({"login": "ada", "password": "quite another password"});
    let reply = shop.post("/auth/login").json(wrong).send().await;
    reply.refused(401, "UNAUTHENTICATED");
    assert_eq!(
        hash_of_ada(&shop).await,
        cheap,
        "of a wrong one nothing is kept"
    );

    shop.try_login("ada").await.expect(200);
    let dear = hash_of_ada(&shop).await;
    assert!(
        dear.starts_with("$argon2id$v=19$m=32768,t=4,p=1$"),
        "{cheap} became {dear}"
    );
    let hashed = shop.passwords.stats().hashed;
    shop.try_login("ada").await.expect(200);
    assert_eq!(shop.passwords.stats().hashed, hashed + 1);
    assert_eq!(hash_of_ada(&shop).await, dear, "once is enough");
}
