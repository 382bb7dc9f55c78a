//! Health checks: alive and ready are two questions, and each dependency says for itself what its loss means.
//!
//! The usual defects: the liveness probe asks the database, so an outage of it restarts every instance again and
//! again; one slow check hangs the probe; and a cache that is out takes the service out of the balancer. Here `/health`
//! looks at nothing, `/ready` names what is out, checks are bounded in time, and a dependency one can live without
//! only degrades.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use stanchion::server::{Module, ServerSettings, Service};
use tokio::time::sleep;
use tower::ServiceExt;

/// Something that can be out.
#[derive(Clone, Default)]
struct Dependency(Arc<AtomicBool>);

impl Dependency {
    async fn ping(self) -> Result<(), String> {
        if self.0.load(Ordering::Relaxed) {
            return Err("connection refused".to_owned());
        }
        Ok(())
    }

    fn set_out(&self, out: bool) {
        self.0.store(out, Ordering::Relaxed);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let (database, cache) = (Dependency::default(), Dependency::default());
    let (ping, look) = (database.clone(), cache.clone());
    let module = Module::new("orders")
        .ready_when("database", move || ping.clone().ping())
        .degraded_unless("cache", move || look.clone().ping());
    let router = Service::new(ServerSettings::default())
        .mount(module)
        .into_router()?;

    say(&router, "all is well", StatusCode::OK, "ready").await?;
    cache.set_out(true);
    say(&router, "the cache is out", StatusCode::OK, "degraded").await?;
    database.set_out(true);
    say(
        &router,
        "the database too",
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
    )
    .await?;
    let (alive, _) = ask(&router, "/health").await?;
    println!("still alive: {alive}");
    assert_eq!(
        alive,
        StatusCode::OK,
        "a restart would not bring the database back"
    );
    database.set_out(false);
    cache.set_out(false);
    say(&router, "both are back", StatusCode::OK, "ready").await
}

async fn say(router: &Router, when: &str, status: StatusCode, word: &str) -> anyhow::Result<()> {
    // An answer is kept for half a second: probes of many balancers do not multiply.
    sleep(Duration::from_millis(600)).await;
    let (got, text) = ask(router, "/ready").await?;
    println!("{when}: {got} {word}");
    assert_eq!(got, status);
    assert!(text.contains(&format!("\"status\":\"{word}\"")), "{text}");
    Ok(())
}

async fn ask(router: &Router, path: &str) -> anyhow::Result<(StatusCode, String)> {
    let answer = router
        .clone()
        .oneshot(Request::get(path).body(Body::empty())?)
        .await?;
    let (status, body) = (answer.status(), answer.into_body());
    let text = String::from_utf8(to_bytes(body, 64 * 1024).await?.to_vec())?;
    Ok((status, text))
}
