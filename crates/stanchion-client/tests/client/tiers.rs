//! Retries in several tiers of real services (row C8 of the fault catalogue).

use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use stanchion_client::{ClientError, HttpClient};
use stanchion_resilience::retry::Stopped;
use stanchion_server::{Module, Running, ServerSettings, Service};
use stanchion_telemetry::Metrics;

use super::host::{Host, quick};

/// A service that needs the next one, and tries again like all others.
struct Tier {
    url: String,
    _running: Running,
}

async fn ask(State(next): State<HttpClient>) -> StatusCode {
    match next.get("/").send().await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// It has an answer without the next one.
async fn fall_back(State(next): State<HttpClient>) -> StatusCode {
    let _answer = next.get("/").send().await;
    StatusCode::OK
}

async fn tier(next: &str) -> Tier {
    let router = axum::Router::new()
        .route("/", get(ask))
        .route("/fallback", get(fall_back))
        .with_state(client(next));
    let settings = ServerSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..ServerSettings::default()
    };
    let service = Service::new(settings).mount(Module::new("tier").http_router(router));
    let running = service.start().await.unwrap();
    let url = format!("http://{}", running.addresses().public.unwrap());
    Tier {
        url,
        _running: running,
    }
}

fn client(url: &str) -> HttpClient {
    HttpClient::new("next", url, &quick(), &Metrics::default()).unwrap()
}

fn said(error: &ClientError) -> Option<u16> {
    error.status().map(|status| status.as_u16())
}

#[tokio::test]
async fn of_three_tiers_the_one_nearest_to_the_outage_tries_again() {
    let down = Host::start().await;
    down.status(503);
    let nearest = tier(&down.url()).await;
    let middle = tier(&nearest.url).await;
    let error = client(&middle.url).get("/").send().await.unwrap_err();
    assert_eq!((error.attempts(), error.stopped()), (1, Stopped::Final));
    assert_eq!(said(&error), Some(503));
    assert_eq!(down.calls(), 3, "its own attempts, and nobody else's");
}

#[tokio::test]
async fn what_nobody_tried_again_may_be() {
    let down = Host::start().await;
    // It says for good that it cannot.
    down.status(501);
    let nearest = tier(&down.url()).await;
    let error = client(&nearest.url).get("/").send().await.unwrap_err();
    assert_eq!((error.attempts(), down.calls()), (3, 3));
    // It was tried again, and is not needed.
    down.status(503);
    let answer = client(&nearest.url).get("/fallback").send().await.unwrap();
    assert_eq!(answer.header("x-should-retry"), None);
}
