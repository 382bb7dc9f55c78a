//! The signing keys: listed, rotated, sealed with another key.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use stanchion_auth::key::rotation::Haste;
use stanchion_auth::key::{KeyListing, OperatedKeys};

use super::{Operated, refused};

pub(super) async fn list(State(operated): State<Operated>) -> Response {
    match known(&operated) {
        Ok(keys) => listed(keys, keys.list().await),
        Err(none) => *none,
    }
}

pub(super) async fn rotate(
    State(operated): State<Operated>,
    Path(haste): Path<String>,
) -> Response {
    let keys = match known(&operated) {
        Ok(keys) => keys,
        Err(none) => return *none,
    };
    match Haste::from_name(&haste) {
        Some(haste) => listed(keys, keys.rotate(haste).await),
        None => refused(StatusCode::NOT_FOUND, "rotate ahead, now or leaked"),
    }
}

pub(super) async fn reseal(State(operated): State<Operated>) -> Response {
    let keys = match known(&operated) {
        Ok(keys) => keys,
        Err(none) => return *none,
    };
    match keys.reseal().await {
        Ok(resealed) => axum::Json(json!({ "resealed": resealed })).into_response(),
        Err(why) => refused(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

fn known(operated: &Operated) -> Result<&dyn OperatedKeys, Box<Response>> {
    operated.keys.as_deref().ok_or_else(|| {
        let none = "this service has no signing keys";
        Box::new(refused(StatusCode::NOT_FOUND, none))
    })
}

fn listed(keys: &dyn OperatedKeys, listed: Result<Vec<KeyListing>, String>) -> Response {
    match listed {
        Ok(listed) => axum::Json(json!({"store": keys.store(), "keys": listed})).into_response(),
        Err(why) => refused(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}
