use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::future::join_all;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Check;

/// Checks are asked at most this often, however many ask us.
const FRESH: Duration = Duration::from_millis(500);

/// How far the service has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    Starting,
    Ready,
    Draining,
}

/// What `/health` and `/ready` tell.
#[derive(Clone)]
pub(crate) struct Health(Arc<Inner>);

struct Inner {
    state: AtomicU8,
    checks: Vec<Check>,
    timeout: Duration,
    last: Mutex<Option<(Instant, Vec<Checked>)>>,
}

/// What came of a check.
#[derive(Clone)]
struct Checked {
    check: Check,
    result: Result<(), String>,
    latency: Duration,
}

/// Whether the path is one of [`Health::router`]'s.
pub(crate) fn is_health(path: &str) -> bool {
    matches!(path, "/health" | "/ready")
}

impl Health {
    pub(crate) fn new(checks: Vec<Check>, timeout: Duration) -> Self {
        let state = AtomicU8::new(State::Starting as u8);
        Self(Arc::new(Inner {
            state,
            checks,
            timeout,
            last: Mutex::new(None),
        }))
    }

    pub(crate) fn enter(&self, state: State) {
        self.0.state.store(state as u8, Ordering::Relaxed);
    }

    /// Whether `/ready` says 200.
    pub(crate) async fn is_ready(&self) -> bool {
        let out = |checked: &Checked| checked.check.required && checked.result.is_err();
        self.state() == State::Ready && !self.checked().await.iter().any(out)
    }

    /// `/health` and `/ready`, for both ports.
    /// `/health` and `/ready`.
    pub(crate) fn router(&self) -> Router {
        let health = self.clone();
        Router::new()
            .route(
                "/health",
                get(async || plain(StatusCode::OK, &json!({"status": "healthy"}))),
            )
            .route("/ready", get(async move || health.ready().await))
    }

    fn state(&self) -> State {
        match self.0.state.load(Ordering::Relaxed) {
            0 => State::Starting,
            1 => State::Ready,
            _ => State::Draining,
        }
    }

    async fn ready(&self) -> Response {
        let checked = self.checked().await;
        let is_out = |required: bool| {
            checked
                .iter()
                .any(|checked| checked.check.required == required && checked.result.is_err())
        };
        let (status, word) = match self.state() {
            State::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
            State::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
            State::Ready if is_out(true) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            State::Ready if is_out(false) => (StatusCode::OK, "degraded"),
            State::Ready => (StatusCode::OK, "ready"),
        };
        plain(status, &json!({"status": word, "checks": shown(&checked)}))
    }

    /// The last results, or new ones: whoever comes meanwhile waits for the same.
    async fn checked(&self) -> Vec<Checked> {
        let mut last = self.0.last.lock().await;
        if let Some((at, checked)) = &*last
            && at.elapsed() < FRESH
        {
            return checked.clone();
        }
        let checked = join_all(self.0.checks.iter().map(|check| self.ask(check))).await;
        *last = Some((Instant::now(), checked.clone()));
        checked
    }

    async fn ask(&self, check: &Check) -> Checked {
        let started = Instant::now();
        let timeout = self.0.timeout;
        let result = match tokio::time::timeout(timeout, (check.ask)()).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {timeout:?}")),
        };
        Checked {
            check: check.clone(),
            result,
            latency: started.elapsed(),
        }
    }
}

/// One entry a name; modules that share a name share it, the worst one speaks.
fn shown(checked: &[Checked]) -> Map<String, Value> {
    let mut by_name: BTreeMap<&str, Vec<&Checked>> = BTreeMap::new();
    for one in checked {
        by_name.entry(&one.check.name).or_default().push(one);
    }
    let mut shown = Map::new();
    for (name, all) in by_name {
        let latency = all
            .iter()
            .map(|checked| checked.latency)
            .max()
            .unwrap_or_default();
        let failed = all.iter().find_map(|checked| {
            let reason = checked.result.as_ref().err()?;
            let of = if all.len() > 1 {
                format!("{}: ", checked.check.module)
            } else {
                String::new()
            };
            Some(format!("unhealthy: {of}{reason}"))
        });
        let entry = match failed {
            Some(status) => json!({"status": status}),
            None => json!({"status": "healthy", "latency_ms": latency.as_millis() as u64}),
        };
        shown.insert(name.to_owned(), entry);
    }
    shown
}

fn plain(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
