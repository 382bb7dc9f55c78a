//! Relays: an operator wishes that entries of a log be announced again.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use stanchion_messaging::{Position, Redrive};

use super::{Operated, refused};

/// What comes after a position, to the end.
pub(super) async fn redrive(
    State(operated): State<Operated>,
    Path((module, after)): Path<(String, i64)>,
) -> Response {
    wish(&operated, &module, after, None).await
}

/// What comes after a position, up to another one.
pub(super) async fn redrive_stretch(
    State(operated): State<Operated>,
    Path((module, after, through)): Path<(String, i64, i64)>,
) -> Response {
    wish(&operated, &module, after, Some(through)).await
}

async fn wish(operated: &Operated, name: &str, after: i64, through: Option<i64>) -> Response {
    if after < 0 || through.is_some_and(|through| through <= after) {
        let reason =
            format!("there is nothing after {after} up to {through:?}: positions begin at 1");
        return refused(StatusCode::UNPROCESSABLE_ENTITY, &reason);
    }
    let mut modules = operated.modules.iter();
    let Some(relay) = modules
        .find(|module| module.name == name)
        .and_then(|module| module.relay.as_ref())
    else {
        let reason = format!("no module {name} here announces its log to a broker");
        return refused(StatusCode::NOT_FOUND, &reason);
    };
    let wish = Redrive {
        after: Position(after),
        through: through.map(Position),
        ..Redrive::default()
    };
    match relay.wish(name, &wish).await {
        Ok(()) => {
            let wished = json!({"module": name, "wish": wish});
            (StatusCode::ACCEPTED, axum::Json(wished)).into_response()
        }
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}
