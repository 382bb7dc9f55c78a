//! A sandbox with a client, and a receiver of webhooks.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use serde_json::Value;
use shop_sandbox::{Running, Sandbox, Settings};
use stanchion::sql::DatabaseUrl;

pub(crate) struct Gateway {
    pub(crate) running: Running,
    pub(crate) client: reqwest::Client,
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn id(&self) -> String {
        self.body["id"]
            .as_str()
            .unwrap_or_else(|| panic!("no id: {self:?}"))
            .to_owned()
    }

    pub(crate) fn code(&self) -> String {
        self.body["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        let running = Sandbox::start(settings).await.unwrap();
        Self {
            running,
            client: reqwest::Client::new(),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.running.url
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(self.client.get(format!("{}{path}", self.url()))))
            .await
            .unwrap()
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.post_with(&fresh_key(), path, form).await
    }

    pub(crate) async fn post_with(&self, key: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        self.try_post(key, path, form).await.unwrap()
    }

    pub(crate) async fn try_post(
        &self,
        key: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> reqwest::Result<Answer> {
        let request = self.client.post(format!("{}{path}", self.url()));
        answer(
            self.request(request)
                .header("Idempotency-Key", key)
                .form(form),
        )
        .await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        let request = self.client.post(format!("{}{path}", self.url()));
        answer(self.request(request).json(body)).await.unwrap()
    }

    /// The id of an intent that was captured.
    pub(crate) async fn captured(&self, method: &'static str) -> String {
        let id = self.post("/v1/payment_intents", &create(method)).await.id();
        let captured = self
            .post(&format!("/v1/payment_intents/{id}/capture"), &[])
            .await;
        assert_eq!(captured.status, 200);
        id
    }

    /// A receiver that gets this sandbox's webhooks from now on.
    pub(crate) async fn hook(&self) -> Arc<Hook> {
        let hook = Arc::new(Hook::default());
        let app = axum::Router::new()
            .route("/hook", post(receive))
            .with_state(hook.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.running
            .deliver_to(format!("http://{}/hook", listener.local_addr().unwrap()));
        stanchion::runtime::task::spawn("hook", async move {
            axum::serve(listener, app).await.unwrap();
        });
        hook
    }

    fn request(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request.bearer_auth(self.running.key.expose_secret())
    }
}

#[derive(Default)]
pub(crate) struct Hook {
    events: Mutex<Vec<Received>>,
    failing: AtomicUsize,
}

#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) signature: String,
    pub(crate) raw: String,
    pub(crate) body: Value,
}

impl Hook {
    pub(crate) fn events(&self) -> Vec<Received> {
        self.events.lock().clone()
    }

    pub(crate) fn fail_next(&self, count: usize) {
        self.failing.store(count, Ordering::Relaxed);
    }
}

async fn receive(State(hook): State<Arc<Hook>>, headers: HeaderMap, raw: String) -> StatusCode {
    let fails = hook
        .failing
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
    if fails.is_ok() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
    let body = serde_json::from_str(&raw).unwrap();
    hook.events.lock().push(Received {
        signature,
        raw,
        body,
    });
    StatusCode::OK
}

pub(crate) fn create(method: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        ("amount", "1250"),
        ("currency", "EUR"),
        ("payment_method", method),
        ("capture_method", "manual"),
        ("confirm", "true"),
        ("metadata[payment_id]", "p1"),
    ]
}

pub(crate) fn fresh_key() -> String {
    stanchion::runtime::id::new_v7().to_string()
}

pub(crate) fn settings_in(folder: &Path) -> Settings {
    Settings {
        database: Some(DatabaseUrl::sqlite(folder)),
        ..Settings::default()
    }
}

pub(crate) async fn eventually(what: &str, check: impl AsyncFn() -> bool) {
    for _ in 0..200 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let body = response.text().await?;
    let body = serde_json::from_str(&body).unwrap_or_else(|_| panic!("not JSON: {status} {body}"));
    Ok(Answer { status, body })
}
