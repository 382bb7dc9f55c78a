//! Middleware chain: what every request passes, outermost first, in one list.
//!
//! The usual defect is an order by accident: the body is read before its size is checked, or one route
//! is mounted outside of the guard. Here a service puts its own chain around every route of every
//! module, a guard always stands outside of what it guards, and your own layers go inside.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use stanchion::server::{Module, ServerSettings, Service};
use tokio::sync::Mutex;
use tower::ServiceExt;

/// More than the body a service takes unless told otherwise, in bytes.
const TOO_LARGE: usize = 2 * 1024 * 1024;

/// What was passed, in order.
type Steps = Arc<Mutex<Vec<&'static str>>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let steps = Steps::default();
    let router = service(application(steps.clone())).into_router()?;

    let answer = send(&router, Request::get("/hello").body(Body::empty())?).await?;
    let passed = std::mem::take(&mut *steps.lock().await);
    println!(
        "GET /hello: {}, passed {}",
        answer.status(),
        passed.join(" ")
    );
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        passed,
        ["> outer", "> inner", "handler", "< inner", "< outer"]
    );
    assert!(
        answer.headers().contains_key("x-request-id"),
        "from the service's chain"
    );

    let slow = send(&router, Request::get("/slow").body(Body::empty())?).await?;
    println!("GET /slow: {}", slow.status());
    assert_eq!(slow.status(), StatusCode::GATEWAY_TIMEOUT);
    steps.lock().await.clear();

    let large = Request::post("/upload").body(Body::from(vec![b'x'; TOO_LARGE]))?;
    let refused = send(&router, large).await?;
    println!("POST /upload of 2 MiB: {}", refused.status());
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(
        !steps.lock().await.contains(&"handler"),
        "refused before the handler"
    );
    Ok(())
}

/// Ours stands around all of it: request id, metrics, panic guard, admission, deadline, body limit.
fn service(application: Router) -> Service {
    let settings = ServerSettings {
        request_timeout: Duration::from_millis(100),
        ..ServerSettings::default()
    };
    Service::new(settings).mount(Module::new("hello").http_router(application))
}

/// An ordinary axum application with layers of its own.
fn application(steps: Steps) -> Router {
    let handler = async |State(steps): State<Steps>| steps.lock().await.push("handler");
    let upload =
        async |State(steps): State<Steps>, _body: String| steps.lock().await.push("handler");
    Router::new()
        .route("/hello", get(handler))
        .route("/upload", post(upload))
        .route("/slow", get(std::future::pending::<()>))
        // axum puts the last one outermost.
        .layer(from_fn_with_state(steps.clone(), inner))
        .layer(from_fn_with_state(steps.clone(), outer))
        .with_state(steps)
}

async fn outer(State(steps): State<Steps>, request: Request, next: Next) -> Response {
    steps.lock().await.push("> outer");
    let response = next.run(request).await;
    steps.lock().await.push("< outer");
    response
}

async fn inner(State(steps): State<Steps>, request: Request, next: Next) -> Response {
    steps.lock().await.push("> inner");
    let response = next.run(request).await;
    steps.lock().await.push("< inner");
    response
}

async fn send(router: &Router, request: Request) -> anyhow::Result<Response> {
    Ok(router.clone().oneshot(request).await?)
}
