//! The dependency: a few slots, and a sleep in each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
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
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let stub = Stub {
        slots: Arc::new(Semaphore::new(options.slots)),
        takes: Duration::from_millis(options.takes_ms),
    };
    let router = Router::new()
        .route("/ready", get(async || "here"))
        .route("/take", get(take))
        .route("/hang", get(hang))
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

/// Never answered.
async fn hang() -> &'static str {
    std::future::pending().await
}
