//! Projections: how they are, and what an operator does with them.
//!
//! A rebuild or a verification may take long. It is begun (202, with the work), goes on by itself and is seen in the
//! projection's `work`; one at a time in a process, a second one is refused with 409. What it came to is kept until
//! the next one of the same projection or the end of the process.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use http::{StatusCode, header};
use serde_json::{Value, json};
use stanchion_eventsourcing::OperatedProjection;

use super::work::{Kind, NotBegun};
use super::{Operated, refused};

/// What can be done with one.
const ACTIONS: &str = "pause, resume, rebuild, cancel-rebuild, verify, retry";

/// A projection, and whose it is.
struct Found {
    module: &'static str,
    projection: Arc<dyn OperatedProjection>,
}

/// How every projection is, those whose store is out with what is wrong.
pub(super) async fn list(State(operated): State<Operated>) -> Response {
    // All at once: stores that are out are waited for together.
    let found: Vec<Found> = all(&operated).collect();
    let shown = join_all(found.iter().map(|found| found.shown(&operated))).await;
    axum::Json(json!({"data": shown})).into_response()
}

pub(super) async fn show(
    State(operated): State<Operated>,
    Path((module, projection)): Path<(String, String)>,
) -> Response {
    match find(&operated, &module, &projection) {
        Ok(found) => axum::Json(found.shown(&operated).await).into_response(),
        Err(unknown) => *unknown,
    }
}

pub(super) async fn act(
    State(operated): State<Operated>,
    Path((module, projection, action)): Path<(String, String, String)>,
) -> Response {
    let found = match find(&operated, &module, &projection) {
        Ok(found) => found,
        Err(unknown) => return *unknown,
    };
    let projection = &found.projection;
    match action.as_str() {
        "pause" => done(projection.pause().await),
        "resume" => done(projection.resume().await),
        "rebuild" => found.begin(&operated, Kind::Rebuild).await,
        "cancel-rebuild" => found.cancel_rebuild(&operated).await,
        "verify" => found.begin(&operated, Kind::Verify).await,
        "retry" => match projection.retry_parked().await {
            Ok(due) => axum::Json(json!({"due": due})).into_response(),
            Err(reason) => out(&reason),
        },
        _ => {
            let reason = format!("nobody can `{action}` a projection; there are: {ACTIONS}");
            refused(StatusCode::NOT_FOUND, &reason)
        }
    }
}

impl Found {
    fn of(&self) -> (&'static str, &'static str) {
        (self.module, self.projection.name())
    }

    async fn shown(&self, operated: &Operated) -> Value {
        let (module, name) = self.of();
        let mut shown = match self.projection.status().await {
            Ok(status) => json!(status),
            Err(error) => json!({"name": name, "error": error}),
        };
        shown["module"] = module.into();
        if let Some(work) = operated.works.last(self.of()) {
            shown["work"] = json!(work);
        }
        shown
    }

    /// Begins what may take long.
    async fn begin(self, operated: &Operated, kind: Kind) -> Response {
        let status = match self.projection.status().await {
            Ok(status) => status,
            Err(reason) => return out(&reason),
        };
        // One that was interrupted is taken up at a start, without being asked for here.
        if status.rebuild.is_some_and(|rebuild| rebuild.running_here) {
            let (module, name) = self.of();
            let reason = format!("a rebuild of {module}/{name} is under way: one at a time");
            return refused(StatusCode::CONFLICT, &reason);
        }
        let place = format!("/projections/{}/{}", self.module, self.projection.name());
        match operated.works.begin(self.module, self.projection, kind) {
            Ok(work) => {
                let location = [(header::LOCATION, place)];
                (StatusCode::ACCEPTED, location, axum::Json(work)).into_response()
            }
            Err(NotBegun::Busy(reason)) => refused(StatusCode::CONFLICT, &reason),
            Err(NotBegun::Stopping) => out("the service is stopping"),
        }
    }

    async fn cancel_rebuild(&self, operated: &Operated) -> Response {
        if operated.works.is_at(self.of(), Kind::Verify) {
            // It would wait for the end of that.
            let reason = "there is no rebuild, and a verification is under way";
            return refused(StatusCode::CONFLICT, reason);
        }
        match self.projection.cancel_rebuild().await {
            Ok(true) => StatusCode::NO_CONTENT.into_response(),
            Ok(false) => refused(StatusCode::NOT_FOUND, "there is no rebuild to give up"),
            Err(reason) => out(&reason),
        }
    }
}

fn all(operated: &Operated) -> impl Iterator<Item = Found> {
    operated.modules.iter().flat_map(|module| {
        module.projections.iter().map(|projection| Found {
            module: module.name,
            projection: Arc::clone(projection),
        })
    })
}

/// The projection of these names, or what to say instead.
fn find(operated: &Operated, module: &str, name: &str) -> Result<Found, Box<Response>> {
    let found = all(operated).find(|found| found.of() == (module, name));
    found.ok_or_else(|| {
        let known: Vec<String> = all(operated)
            .map(|found| format!("{}/{}", found.module, found.projection.name()))
            .collect();
        let known = known.join(", ");
        let reason = format!("there is no projection {module}/{name}; there are: {known}");
        Box::new(refused(StatusCode::NOT_FOUND, &reason))
    })
}

fn done(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(reason) => out(&reason),
    }
}

fn out(reason: &str) -> Response {
    refused(StatusCode::SERVICE_UNAVAILABLE, reason)
}
