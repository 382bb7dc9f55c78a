//! A secret of Vault's KV engine, version 2, from a stub that speaks its wire format over real sockets.
//!
//! The stub is written after Vault's API documentation (`GET /v1/MOUNT/data/PATH`); no Vault runs here.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use stanchion::auth::key::KeyEncryptionKey;
use stanchion::auth::secret_source::{SecretError, SecretSource};
use stanchion::client::{ClientSettings, Metrics, SecretString, SetupError};
use stanchion::server::{Module, Running, ServerSettings, Service};
use stanchion::vault::{VaultPlace, VaultSecret};

const TOKEN: &str = "hvs.CAESIJ-canary";

/// Secrets by path, each with its newest version; none if that is deleted.
#[derive(Default)]
struct Stub {
    secrets: Mutex<Vec<(String, Option<Value>)>>,
}

impl Stub {
    fn put(&self, path: &str, data: Option<Value>) {
        let mut secrets = self.secrets.lock();
        secrets.retain(|(known, _)| known != path);
        secrets.push((path.to_owned(), data));
    }

    async fn start(self: &Arc<Self>) -> (Running, String) {
        let router = Router::new()
            .route("/v1/secret/data/{*path}", get(read))
            .with_state(Arc::clone(self));
        let settings = ServerSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            ..ServerSettings::default()
        };
        let service = Service::new(settings).mount(Module::new("vault").http_router(router));
        let running = service.start().await.unwrap();
        let url = format!("http://{}", running.addresses().public.unwrap());
        (running, url)
    }
}

async fn read(
    State(stub): State<Arc<Stub>>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Response {
    let token = headers.get("x-vault-token");
    if token.is_none_or(|token| token != TOKEN) {
        let denied = json!({"errors": ["permission denied"]});
        return (StatusCode::FORBIDDEN, Json(denied)).into_response();
    }
    let secrets = stub.secrets.lock();
    let found = secrets.iter().find(|(known, _)| *known == path);
    let metadata = json!({
        "created_time": "2026-11-22T08:00:00.000000Z", "custom_metadata": null,
        "deletion_time": "", "destroyed": false, "version": 3,
    });
    let answer = |data: &Value, metadata: &Value| {
        json!({
            "request_id": "3e7dd0ac-1e0f-4f3b-9a54-7f4c1d0c9a01", "lease_id": "",
            "renewable": false, "lease_duration": 0,
            "data": {"data": data, "metadata": metadata},
            "wrap_info": null, "warnings": null, "auth": null, "mount_type": "kv",
        })
    };
    match found {
        None => (StatusCode::NOT_FOUND, Json(json!({"errors": []}))).into_response(),
        // Of a deleted version Vault answers the metadata, with 404.
        Some((_, None)) => {
            let gone = answer(&Value::Null, &metadata);
            (StatusCode::NOT_FOUND, Json(gone)).into_response()
        }
        Some((_, Some(data))) => Json(answer(data, &metadata)).into_response(),
    }
}

fn vault(place: &str, token: &str) -> Result<VaultSecret, SetupError> {
    let place: VaultPlace = place.parse().unwrap();
    let mut settings = ClientSettings::default();
    settings.policy.retry_on = false;
    let token = SecretString::from(token.to_owned());
    VaultSecret::at(&place, token, &settings, &Metrics::default())
}

#[tokio::test]
async fn a_key_encryption_key_is_read_from_the_newest_version_of_a_secret() {
    let stub = Arc::new(Stub::default());
    let (_running, url) = stub.start().await;
    let source = vault(&format!("{url}/secret/shop/keys#kek"), TOKEN).unwrap();
    for _ in 0..2 {
        let text = KeyEncryptionKey::generate_text();
        stub.put(
            "shop/keys",
            Some(json!({"kek": text.expose_secret(), "n": 7})),
        );
        let read = source.secret().await.unwrap();
        let id = |text| KeyEncryptionKey::from_text(text).unwrap().id();
        assert_eq!(id(&read), id(&text));
    }
}

#[tokio::test]
async fn what_is_not_there_not_allowed_or_no_text_is_told_without_the_token() {
    let stub = Arc::new(Stub::default());
    let (_running, url) = stub.start().await;
    stub.put("gone", None);
    stub.put("number", Some(json!({"kek": 7})));
    for (place, token, expected) in [
        ("absent#kek", TOKEN, "there is no secret"),
        ("gone#kek", TOKEN, "there is no secret"),
        ("number#other", TOKEN, "there is no secret"),
        ("number#kek", TOKEN, "no text"),
        ("number#kek", "hvs.another", "403"),
    ] {
        let source = vault(&format!("{url}/secret/{place}"), token).unwrap();
        let error = source.secret().await.unwrap_err();
        let told = format!("{error} {error:?} {source:?}");
        assert!(told.contains(expected), "{place}: {told}");
        assert!(!told.contains("hvs."), "{told}");
    }
    let nobody = vault("http://127.0.0.1:1/secret/shop#kek", TOKEN).unwrap();
    let error = nobody.secret().await.unwrap_err();
    assert!(matches!(error, SecretError::Unavailable(..)), "{error}");
}

#[test]
fn a_token_goes_to_nobody_in_clear_and_a_place_is_whole() {
    assert!(vault("http://vault.internal:8200/secret/shop#kek", TOKEN).is_err());
    for text in [
        "",
        "vault:8200/secret/shop#kek",
        "https://vault:8200/secret/shop",
        "https://vault:8200/secret#kek",
        "https://vault:8200/secret/../sys#kek",
        "https://vault:8200/secret/a?b#kek",
        "ftp://vault/secret/shop#kek",
    ] {
        assert!(text.parse::<VaultPlace>().is_err(), "{text}");
    }
    let place = "https://vault:8200/secret/shop/keys#kek";
    assert_eq!(place.parse::<VaultPlace>().unwrap().to_string(), place);
}
