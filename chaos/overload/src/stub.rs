//! The dependency: a few slots, and a sleep in each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    listen: SocketAddr,
    /// Calls it works on at once; more wait.
    #[arg(long, default_value_t = 10)]
    slots: usize,
    /// How long a call takes, in milliseconds.
    #[arg(long, default_value_t = 20)]
    takes_ms: u64,
}

#[derive(Clone)]
struct Stub {
    slots: Arc<Semaphore>,
    takes: Duration,
    hanging: Arc<Hanging>,
}

/// Calls that are never answered.
#[derive(Default)]
struct Hanging {
    now: AtomicU64,
    peak: AtomicU64,
}

struct Hung(Arc<Hanging>);

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let stub = Stub {
        slots: Arc::new(Semaphore::new(options.slots)),
        takes: Duration::from_millis(options.takes_ms),
        hanging: Arc::default(),
    };
    let router = Router::new()
        .route("/ready", get(async || "here"))
        .route("/take", get(take))
        .route("/hang", get(hang))
        .route("/hanging", get(hanging))
        .with_state(stub);
    let listener = tokio::net::TcpListener::bind(options.listen).await?;
    axum::serve(listener, router).await?;
    Ok(())
}

async fn take(State(stub): State<Stub>) -> &'static str {
    let _slot = stub.slots.acquire().await;
    tokio::time::sleep(stub.takes).await;
    "taken"
}

async fn hang(State(stub): State<Stub>) -> &'static str {
    let now = stub.hanging.now.fetch_add(1, Ordering::Relaxed) + 1;
    stub.hanging.peak.fetch_max(now, Ordering::Relaxed);
    let _hung = Hung(stub.hanging);
    std::future::pending().await
}

async fn hanging(State(stub): State<Stub>) -> Json<Value> {
    let peak = stub.hanging.peak.load(Ordering::Relaxed);
    Json(json!({"peak": peak}))
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}
