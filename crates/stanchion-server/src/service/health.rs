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

use super::Check;
use super::probe::{Probe, Seen};

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
    probes: Vec<Probe>,
}

/// What came of a check.
struct Checked<'a> {
    check: &'a Check,
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
        let probes = checks.into_iter().map(|check| Probe::new(check, timeout));
        let probes = probes.collect();
        Self(Arc::new(Inner { state, probes }))
    }

    pub(crate) fn enter(&self, state: State) {
        self.0.state.store(state as u8, Ordering::Relaxed);
    }

    /// Whether `/ready` says 200.
    pub(crate) async fn is_ready(&self) -> bool {
        let out = |checked: &Checked<'_>| checked.check.required && checked.result.is_err();
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

    /// What each check says now; before we are ready and when we stop, what it said last: nothing is decided by it then.
    async fn checked(&self) -> Vec<Checked<'_>> {
        let probes = &self.0.probes;
        if self.state() != State::Ready {
            let said = probes.iter().filter_map(|probe| {
                let seen = probe.last()?;
                Some(Checked::of(probe, seen))
            });
            return said.collect();
        }
        let asked = probes.iter().map(async |probe| {
            let seen = probe.seen().await;
            Checked::of(probe, seen)
        });
        join_all(asked).await
    }
}

impl<'a> Checked<'a> {
    fn of(probe: &'a Probe, seen: Seen) -> Self {
        Self {
            check: &probe.check,
            result: seen.result,
            latency: seen.latency,
        }
    }
}

/// One entry a name; modules that share a name share it, the worst one speaks.
fn shown(checked: &[Checked<'_>]) -> Map<String, Value> {
    let mut by_name: BTreeMap<&str, Vec<&Checked<'_>>> = BTreeMap::new();
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
