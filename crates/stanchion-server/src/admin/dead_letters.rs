use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use stanchion_messaging::{ConsumerStore, DeadLetterFilter, Parked, ParkedState};
use uuid::Uuid;

use super::{Operated, OperatedModule, refused};

/// Rows listed unless asked for fewer.
const LIMIT: usize = 1_000;

/// Which dead letters to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    module: Option<String>,
    consumer: Option<String>,
    state: Option<ParkedState>,
    message: Option<Uuid>,
    limit: Option<usize>,
}

pub(super) async fn list(
    State(operated): State<Operated>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let limit = wanted.limit.unwrap_or(LIMIT).min(LIMIT);
    let filter = DeadLetterFilter {
        consumer: wanted.consumer,
        state: wanted.state,
        limit,
    };
    let mut letters = Vec::new();
    for module in operated.modules.iter() {
        let asked = wanted
            .module
            .as_deref()
            .is_none_or(|name| name == module.name);
        let Some(consumers) = module.consumers.as_ref().filter(|_| asked) else {
            continue;
        };
        let found = match wanted.message {
            Some(message) => consumers.find(message).await,
            None => consumers.list(&filter).await,
        };
        match found {
            Ok(parked) => letters.extend(
                parked
                    .into_iter()
                    .filter(|parked| filter.wants(parked))
                    .map(|parked| json!({"module": module.name, "letter": parked})),
            ),
            Err(error) => return refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        }
    }
    letters.truncate(limit);
    axum::Json(json!({"data": letters})).into_response()
}

pub(super) async fn redrive(
    State(operated): State<Operated>,
    Path((module, consumer, message)): Path<(String, String, Uuid)>,
) -> Response {
    let Some(store) = find(&operated, &module).and_then(|module| module.consumers.clone()) else {
        return unknown();
    };
    done(
        store
            .redrive(&consumer, message, stanchion_runtime::clock::now())
            .await,
    )
}

pub(super) async fn discard(
    State(operated): State<Operated>,
    Path((module, consumer, message)): Path<(String, String, Uuid)>,
) -> Response {
    let Some(store) = find(&operated, &module).and_then(|module| module.consumers.clone()) else {
        return unknown();
    };
    let was = was(store.as_ref(), &consumer, message).await;
    let discarded = store.discard(&consumer, message).await;
    if let (Ok(true), Some(was)) = (&discarded, was) {
        audit("discarded", &module, was);
    }
    done(discarded)
}

pub(super) async fn withdraw(
    State(operated): State<Operated>,
    Path((module, consumer, message)): Path<(String, String, Uuid)>,
) -> Response {
    let Some(store) = find(&operated, &module).and_then(|module| module.consumers.clone()) else {
        return unknown();
    };
    let was = was(store.as_ref(), &consumer, message).await;
    let withdrawn = store.withdraw(&consumer, message).await;
    if let (Ok(true), Some(was)) = (&withdrawn, was) {
        audit("withdrew", &module, was);
    }
    match withdrawn {
        Ok(false) => refused(
            StatusCode::NOT_FOUND,
            "no such message waits, or an attempt at it is under way",
        ),
        withdrawn => done(withdrawn),
    }
}

/// Who reads the audit log sees what is gone.
fn audit(what: &str, module: &str, was: Parked) {
    let (message_id, contract) = (was.message.id, was.message.contract);
    let (consumer, state, reason) = (was.consumer, was.state, was.reason);
    tracing::info!(target: "audit", module, consumer, %message_id, contract, ?state, reason, "operator {what} a message");
}

/// What it is: afterwards nobody can tell.
async fn was(store: &dyn ConsumerStore, consumer: &str, message: Uuid) -> Option<Parked> {
    let found = store.find(message).await.unwrap_or_default();
    found.into_iter().find(|it| it.consumer == consumer)
}

fn find<'a>(operated: &'a Operated, name: &str) -> Option<&'a OperatedModule> {
    operated.modules.iter().find(|module| module.name == name)
}

fn done(result: Result<bool, stanchion_messaging::StoreError>) -> Response {
    match result {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => unknown(),
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

fn unknown() -> Response {
    refused(StatusCode::NOT_FOUND, "there is no such dead letter")
}
