//! Processes: their instances, and what an operator does with one.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use stanchion_eventsourcing::{InstanceFilter, InstanceState, NotDone, OperatedProcess};

use super::{Operated, refused};

/// Rows listed unless asked for fewer.
const LIMIT: usize = 1_000;

/// What is recorded as the reason of a pause that somebody asked for.
const BY_OPERATOR: &str = "by an operator";

/// What can be done with an instance.
const ACTIONS: &str = "pause, resume, restart/STEP";

/// Which instances to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    module: Option<String>,
    process: Option<String>,
    state: Option<InstanceState>,
    limit: Option<usize>,
}

pub(super) async fn list(
    State(operated): State<Operated>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let limit = wanted.limit.unwrap_or(LIMIT).min(LIMIT);
    let state = wanted.state;
    let filter = InstanceFilter { state, limit };
    let is =
        |asked: &Option<String>, name: &str| asked.as_deref().is_none_or(|asked| asked == name);
    let mut instances = Vec::new();
    for module in operated.modules.iter() {
        for process in &module.processes {
            if !is(&wanted.module, module.name) || !is(&wanted.process, process.name()) {
                continue;
            }
            match process.list(&filter).await {
                Ok(rows) => instances.extend(
                    rows.into_iter()
                        .map(|row| json!({"module": module.name, "instance": row})),
                ),
                Err(error) => return refused(StatusCode::SERVICE_UNAVAILABLE, &error),
            }
        }
    }
    instances.truncate(limit);
    axum::Json(json!({"data": instances})).into_response()
}

pub(super) async fn show(
    State(operated): State<Operated>,
    Path((module, process, id)): Path<(String, String, String)>,
) -> Response {
    let Some(process) = find(&operated, &module, &process) else {
        return unknown(&operated, &module, &process);
    };
    match process.show(&id).await {
        Ok(Some(shown)) => axum::Json(shown).into_response(),
        Ok(None) => refused(StatusCode::NOT_FOUND, &NotDone::NoSuch.to_string()),
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error),
    }
}

pub(super) async fn act(
    State(operated): State<Operated>,
    Path((module, process, id, action)): Path<(String, String, String, String)>,
) -> Response {
    let Some(process) = find(&operated, &module, &process) else {
        return unknown(&operated, &module, &process);
    };
    match action.as_str() {
        "pause" => done(process.pause(&id, BY_OPERATOR).await),
        "resume" => done(process.resume(&id).await),
        _ => {
            let reason = format!("nobody can `{action}` an instance; there are: {ACTIONS}");
            refused(StatusCode::NOT_FOUND, &reason)
        }
    }
}

pub(super) async fn restart(
    State(operated): State<Operated>,
    Path((module, process, id, step)): Path<(String, String, String, String)>,
) -> Response {
    match find(&operated, &module, &process) {
        Some(process) => done(process.restart(&id, &step).await),
        None => unknown(&operated, &module, &process),
    }
}

fn find<'a>(
    operated: &'a Operated,
    module: &str,
    name: &str,
) -> Option<&'a Arc<dyn OperatedProcess>> {
    let module = operated.modules.iter().find(|known| known.name == module)?;
    module.processes.iter().find(|known| known.name() == name)
}

fn unknown(operated: &Operated, module: &str, process: &str) -> Response {
    let known = operated.modules.iter().flat_map(|module| {
        let processes = module.processes.iter();
        processes.map(|process| format!("{}/{}", module.name, process.name()))
    });
    let known = known.collect::<Vec<_>>().join(", ");
    let reason = format!("there is no process {module}/{process}; there are: {known}");
    refused(StatusCode::NOT_FOUND, &reason)
}

fn done(result: Result<(), NotDone>) -> Response {
    let status = match &result {
        Ok(()) => return StatusCode::NO_CONTENT.into_response(),
        Err(NotDone::NoSuch) => StatusCode::NOT_FOUND,
        Err(NotDone::Refused(_)) => StatusCode::CONFLICT,
        Err(NotDone::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
    };
    refused(
        status,
        &result
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default(),
    )
}
