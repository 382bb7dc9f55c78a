use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use shop_identity::StartError;
use stanchion::auth::password::PasswordSettings;
use stanchion::eventsourcing::{Filter, Position};
use stanchion::sql::params;

use crate::support::{PASSWORD, Place, Shop, registration, sealing_key};

async fn started(password: Option<&str>) -> Result<(Shop, Option<SecretString>), StartError> {
    let place = Arc::new(Place::temporary());
    let password = password.map(SecretString::from);
    let settings = PasswordSettings::default();
    let started = Shop::start(place, sealing_key(), settings, password.as_ref()).await;
    started.map(|(shop, bootstrapped)| (shop, bootstrapped.admin_password))
}

#[tokio::test]
async fn the_first_start_makes_an_administrator_with_the_configured_password() {
    let (shop, generated) = started(Some("configured one")).await.unwrap();
    assert!(generated.is_none());
    let admin = shop.login_with("admin", "configured one").await;
    let me = shop.get("/users/me").by(&admin).send().await;
    assert_eq!(me.expect(200)["roles"], json!(["admin"]));
    assert_eq!(me.expect(200)["email"], "admin@localhost");
}

#[tokio::test]
async fn without_a_configured_password_one_is_made_and_told_once() {
    let (shop, generated) = started(None).await.unwrap();
    let generated = generated.unwrap();
    shop.login_with("admin", generated.expose_secret()).await;
    let (again, bootstrapped) = shop.again().await;
    assert!(bootstrapped.admin_password.is_none());
    again.login_with("admin", generated.expose_secret()).await;
}

#[tokio::test]
async fn a_password_configured_later_changes_nothing() {
    let shop = Shop::open().await.restarted().await;
    shop.admin().await;
}

#[tokio::test]
async fn a_configured_password_that_breaks_the_rules_stops_the_start() {
    let refused = started(Some("short")).await.err().unwrap();
    assert!(matches!(refused, StartError::AdminPassword(_)), "{refused}");
    assert!(!refused.to_string().contains("short "));
}

#[tokio::test]
async fn keys_sealed_under_another_key_stop_the_start() {
    let shop = Shop::open().await;
    let refused = shop.with_another_sealing_key().await.err().unwrap();
    assert!(matches!(refused, StartError::Sealed(_)), "{refused}");
}

#[tokio::test]
async fn keys_and_passwords_are_in_the_store_sealed_and_hashed_alone() {
    let shop = Shop::open().await;
    shop.register("ada").await;
    let rows = shop
        .db
        .query("select sealed from signing_keys", params![])
        .await
        .unwrap();
    let sealed: &[u8] = rows[0].get(0).unwrap();
    // A PKCS#8 document begins with the byte of a sequence, a sealed one with its format.
    assert_eq!((rows.len(), sealed[0]), (1, 1));
    let rows = shop
        .db
        .query("select password_hash from users", params![])
        .await
        .unwrap();
    for row in rows {
        assert!(row.get::<&str>(0).unwrap().starts_with("$argon2id$"));
    }
}

#[tokio::test]
async fn what_happens_is_recorded_without_personal_data() {
    let shop = Shop::open().await;
    let (admin, ada) = (shop.admin().await, shop.register("ada").await);
    let patch = json!({"first_name": "Augusta", "email": "countess@example.com"});
    shop.patch(&ada.path())
        .by(&ada)
        .json(patch)
        .send()
        .await
        .expect(200);
    shop.give_roles(&admin, &ada, json!(["staff"]))
        .await
        .expect(200);
    let refresh = || {
        shop.post("/auth/refresh")
            .json(json!({"refresh_token": ada.refresh_token}))
            .send()
    };
    refresh().await.expect(200);
    refresh().await.refused(401, "UNAUTHENTICATED");
    let ada = shop.login("ada").await;
    let body = json!({"current_password": PASSWORD, "new_password": "an even better one"});
    shop.post("/auth/password").by(&ada).json(body).send().await;
    shop.set_status(&admin, &ada, "suspended").await.expect(200);
    shop.delete(&ada.path()).by(&admin).send().await;

    let recorded = shop
        .log
        .read(Position::START, &Filter::all(), 100)
        .await
        .unwrap();
    let kinds: Vec<_> = recorded.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "user_registered", // the administrator
            "session_started",
            "user_registered",
            "session_started",
            "user_updated",
            "roles_changed",
            "refresh_reused",
            "session_ended",
            "session_started",
            "password_changed",
            "status_changed",
            "session_ended",
            "user_deleted",
        ]
    );
    assert_eq!(
        recorded[4].data.value().unwrap()["fields"],
        json!(["email", "first_name"])
    );
    assert_eq!(
        recorded[5].metadata.principal.as_deref(),
        Some(admin.id.as_str())
    );
    let everything: String = recorded.iter().map(|entry| format!("{entry:?}")).collect();
    let everything = everything.to_lowercase();
    for personal in [
        "ada@", "countess", "augusta", PASSWORD, "argon2", "rt_", "\"ada\"",
    ] {
        assert!(!everything.contains(personal), "{personal}");
    }
}

#[tokio::test]
async fn what_one_process_revokes_another_refuses_within_a_second() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    let ada = shop.register("ada").await;
    replica.get("/users/me").by(&ada).send().await.expect(200);
    shop.post("/auth/logout").by(&ada).send().await;
    tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    replica
        .get("/users/me")
        .by(&ada)
        .send()
        .await
        .refused(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_user_registered_at_one_process_is_known_to_the_other() {
    let shop = Shop::open().await;
    let replica = shop.replica().await;
    shop.post("/users")
        .json(registration("ada"))
        .send()
        .await
        .expect(201);
    replica.login("ada").await;
}

#[tokio::test]
async fn the_document_tells_every_operation() {
    let shop = Shop::open().await;
    let document = shop.root("/openapi.json").await.body;
    let paths = document["paths"].as_object().unwrap();
    let mut told: Vec<_> = paths
        .iter()
        .flat_map(|(path, operations)| {
            let operations = operations.as_object().unwrap();
            let methods = operations.keys().filter(|key| key.as_str() != "parameters");
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .filter(|operation| operation.contains("/api/") || operation.contains("/.well-known/"))
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "DELETE /api/v1/auth/api-keys/{id}",
            "DELETE /api/v1/auth/services/{service}/api-keys/{id}",
            "DELETE /api/v1/auth/sessions/{id}",
            "DELETE /api/v1/users/{id}",
            "GET /.well-known/jwks.json",
            "GET /.well-known/openid-configuration",
            "GET /api/v1/auth/api-keys",
            "GET /api/v1/auth/services/{service}/api-keys",
            "GET /api/v1/auth/sessions",
            "GET /api/v1/auth/verification",
            "GET /api/v1/users",
            "GET /api/v1/users/me",
            "GET /api/v1/users/{id}",
            "PATCH /api/v1/users/{id}",
            "POST /api/v1/auth/api-keys",
            "POST /api/v1/auth/login",
            "POST /api/v1/auth/logout",
            "POST /api/v1/auth/password",
            "POST /api/v1/auth/password/reset",
            "POST /api/v1/auth/password/reset/confirmation",
            "POST /api/v1/auth/refresh",
            "POST /api/v1/auth/services/{service}/api-keys",
            "POST /api/v1/auth/verification",
            "POST /api/v1/auth/verification/mail",
            "POST /api/v1/users",
            "PUT /api/v1/users/{id}",
            "PUT /api/v1/users/{id}/roles",
            "PUT /api/v1/users/{id}/status",
        ]
    );
}
