//! The people in a service's data: shredding one, and sealing their keys with another master key.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use stanchion_eventsourcing::{Metadata, Subjects, SubjectsError};

use super::{Operated, refused};

/// Keys that one request seals anew: it is answered soon, and the next one goes on.
const RESEALED_MAX: usize = 1_000;

/// In which log shreddings are recorded.
pub(super) async fn show(State(operated): State<Operated>) -> Response {
    match known(&operated) {
        Ok(subjects) => axum::Json(json!({"log": subjects.log()})).into_response(),
        Err(none) => *none,
    }
}

pub(super) async fn shred(
    State(operated): State<Operated>,
    Path(subject): Path<String>,
) -> Response {
    match known(&operated) {
        Ok(subjects) => answer(subjects.shred(&subject, &by_operator()).await),
        Err(none) => *none,
    }
}

pub(super) async fn reseal(State(operated): State<Operated>) -> Response {
    match known(&operated) {
        Ok(subjects) => answer(subjects.reseal(RESEALED_MAX).await),
        Err(none) => *none,
    }
}

/// Who does it, as the log is told.
pub(crate) fn by_operator() -> Metadata {
    Metadata::new(Some("operator".into()))
}

fn known(operated: &Operated) -> Result<&dyn Subjects, Box<Response>> {
    operated.subjects.as_deref().ok_or_else(|| {
        let none = "this service has no keys of subjects";
        Box::new(refused(StatusCode::NOT_FOUND, none))
    })
}

fn answer(done: Result<impl serde::Serialize, SubjectsError>) -> Response {
    match done {
        Ok(done) => axum::Json(done).into_response(),
        Err(SubjectsError::Refused(why)) => refused(StatusCode::CONFLICT, &why),
        Err(SubjectsError::Unavailable(why)) => refused(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}
