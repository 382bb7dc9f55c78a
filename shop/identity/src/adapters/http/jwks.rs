//! `/.well-known/jwks.json`, outside the base path and in its own form.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header::CACHE_CONTROL;
use stanchion::auth::key::rotation::JWKS_MAX_AGE;

use crate::application::Identity;

pub(crate) fn router(identity: Arc<Identity>) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(jwks))
        .with_state(identity)
}

/// The public halves of all keys; who keeps them longer than told may miss a new one.
async fn jwks(State(identity): State<Arc<Identity>>) -> Response {
    let max_age = format!("public, max-age={}", JWKS_MAX_AGE.as_secs());
    let keys = identity.tokens.ring().jwks();
    ([(CACHE_CONTROL, max_age)], Json(keys)).into_response()
}
