//! Somebody's own axum application, unchanged, wrapped in three lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use stanchion::server::{AdminSettings, Module, ServerSettings, Service, Stopped};
use stanchion::telemetry::{TelemetrySettings, init};

type Greeted = Arc<AtomicU64>;

async fn hello(Path(name): Path<String>) -> String {
    format!("Hello, {name}!\n")
}

async fn greet(State(greeted): State<Greeted>) -> String {
    format!("{} greeted\n", greeted.fetch_add(1, Ordering::Relaxed) + 1)
}

fn application() -> Router {
    Router::new()
        .route("/hello/{name}", get(hello))
        .route("/greetings", post(greet))
        .with_state(Greeted::default())
}

#[tokio::main]
async fn main() -> Stopped {
    let _telemetry = init(&TelemetrySettings::default(), "hello");
    let module = Module::new("hello").http_router(application());
    let service = Service::new(ServerSettings::default()).mount(module);
    service.admin(AdminSettings::default()).run().await
}
