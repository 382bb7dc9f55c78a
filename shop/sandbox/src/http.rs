//! The wire: routes, bearer key, and what goes wrong on purpose.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, Uri, header};
use secrecy::{ExposeSecret, SecretString};
use stanchion::telemetry::trace;
use tracing::{Instrument, info_span};

use crate::cut::Scissors;
use crate::error::{GatewayError, json_response};
use crate::gateway::{Call, Gateway};
use crate::knobs::{Chances, Knobs};

/// The largest body that is read.
const BODY_BYTES_MAX: usize = 64 * 1024;

#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) chances: Arc<Chances>,
    pub(crate) key: SecretString,
}

/// The routes, outermost layer last: the key is checked before anything goes wrong on purpose.
pub(crate) fn router(wire: Wire) -> Router {
    let api = Router::new()
        .route("/v1/payment_intents", post(create_intent))
        .route("/v1/payment_intents/{id}", get(get_intent))
        .route("/v1/payment_intents/{id}/capture", post(capture))
        .route("/v1/payment_intents/{id}/cancel", post(cancel))
        .route("/v1/refunds", post(create_refund))
        .route("/v1/refunds/{id}", get(get_refund))
        .layer(middleware::from_fn_with_state(wire.clone(), fate));
    api.route("/knobs", get(get_knobs).post(set_knobs))
        .layer(middleware::from_fn_with_state(wire.clone(), authenticate))
        .fallback(nothing)
        .method_not_allowed_fallback(nothing)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(wire)
}

async fn authenticate(State(wire): State<Wire>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let given = given.strip_prefix("Bearer ").unwrap_or_default();
    let expected = wire.key.expose_secret();
    if stanchion::auth::secret::equal(given.as_bytes(), expected.as_bytes()) {
        next.run(request).await
    } else {
        GatewayError::unauthenticated().into_response()
    }
}

/// Fails before the effect, or lets it happen and makes its answer late or lost.
async fn fate(
    State(wire): State<Wire>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
    next: Next,
) -> Response {
    let span = info_span!("sandbox.call", otel.kind = "server", method = %request.method());
    if let Some(caller) = trace::extract(request.headers()) {
        trace::continue_from(&span, &caller);
    }
    let fate = wire.chances.draw();
    let response = if fate.fails {
        GatewayError::api("An error was asked for.").into_response()
    } else {
        next.run(request).instrument(span).await
    };
    if !fate.latency.is_zero() {
        tokio::time::sleep(fate.latency).await;
    }
    if fate.loses_answer {
        scissors.cut();
    }
    response
}

async fn create_intent(wire: State<Wire>, headers: HeaderMap, uri: Uri, body: Bytes) -> Response {
    answer(&wire, Call::CreateIntent, &headers, &uri, &body).await
}

async fn capture(
    wire: State<Wire>,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    answer(&wire, Call::Capture(id), &headers, &uri, &body).await
}

async fn cancel(
    wire: State<Wire>,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    answer(&wire, Call::Cancel(id), &headers, &uri, &body).await
}

async fn create_refund(wire: State<Wire>, headers: HeaderMap, uri: Uri, body: Bytes) -> Response {
    answer(&wire, Call::CreateRefund, &headers, &uri, &body).await
}

async fn answer(wire: &Wire, call: Call, headers: &HeaderMap, uri: &Uri, body: &[u8]) -> Response {
    let key = headers.get("idempotency-key");
    let key = key.map(|value| value.to_str().unwrap_or_default());
    match wire.gateway.call(&call, key, uri.path(), body).await {
        Ok((status, body)) => json_response(status, &body),
        Err(error) => error.into_response(),
    }
}

async fn get_intent(
    State(wire): State<Wire>,
    Path(id): Path<String>,
) -> Result<Response, GatewayError> {
    let intent = wire.gateway.intent(&id).await?;
    Ok(json_response(200, &intent.view()))
}

async fn get_refund(
    State(wire): State<Wire>,
    Path(id): Path<String>,
) -> Result<Response, GatewayError> {
    let refund = wire.gateway.refund(&id).await?;
    Ok(json_response(200, &refund.view()))
}

async fn get_knobs(State(wire): State<Wire>) -> Json<Knobs> {
    Json(wire.chances.knobs())
}

async fn set_knobs(State(wire): State<Wire>, body: Bytes) -> Result<Json<Knobs>, GatewayError> {
    let no_knobs = |error| GatewayError::invalid(format!("These are no knobs: {error}"));
    // A derived struct would also take an array, in the order of its fields.
    let object = serde_json::from_slice(&body).map(serde_json::Value::Object);
    let knobs: Knobs = object.and_then(serde_json::from_value).map_err(no_knobs)?;
    if let Some(problem) = knobs.problem() {
        return Err(GatewayError::invalid(problem));
    }
    wire.chances.set(knobs);
    Ok(Json(knobs))
}

async fn nothing(uri: Uri) -> GatewayError {
    GatewayError::no_such("URL", uri.path(), "url")
}
