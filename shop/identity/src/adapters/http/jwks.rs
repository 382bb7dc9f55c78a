//! `/.well-known/jwks.json`, outside the base path and in its own form.

use std::sync::Arc;

use axum::extract::State;
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use stanchion::auth::key::Jwk;
use stanchion::auth::key::rotation::JWKS_MAX_AGE;
use stanchion::server::{Anyone, Plain, Routes, op};
use utoipa::ToSchema;

use crate::application::Identity;

/// A set of public keys (RFC 7517).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct KeySet {
    /// Each with its `kid`, `kty`, `alg` and public members.
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Jwk>,
}

pub(crate) fn routes(identity: Arc<Identity>) -> Routes {
    let about = "What access tokens are signed with; the signature's key is named by its `kid`.";
    Routes::new()
        .get(
            "/.well-known/jwks.json",
            op("Get the public keys", get_keys).about(about),
        )
        .with_state(identity)
}

/// The public halves of all keys; who keeps them longer than told may miss a new one.
async fn get_keys(_: Anyone, State(identity): State<Arc<Identity>>) -> Plain<KeySet> {
    let keys = identity.tokens.ring().jwks().keys;
    let max_age = format!("public, max-age={}", JWKS_MAX_AGE.as_secs());
    let kept = HeaderValue::from_str(&max_age).unwrap_or(HeaderValue::from_static("no-cache"));
    Plain::ok(KeySet { keys }).header(CACHE_CONTROL, kept)
}
