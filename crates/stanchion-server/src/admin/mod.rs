//! The operator's port: metrics, health, logs and relays, projections, processes, dead letters, policies, subjects, keys. Never
//! reachable through the public one.

mod dead_letters;
mod guard;
mod keys;
mod policies;
mod processes;
mod projections;
mod relays;
mod subjects;
mod work;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{StatusCode, header};
use serde_json::{Value, json};
use stanchion_auth::key::OperatedKeys;
use stanchion_eventsourcing::{EventLog, OperatedProcess, OperatedProjection, Subjects};
use stanchion_messaging::{ConsumerStore, RelayStore};
use stanchion_resilience::policy::Policy;
use stanchion_telemetry::Metrics;

use crate::Module;
use crate::admission::Admission;
use crate::service::{AdminSettings, Closer, Health, Listed};

pub(crate) use self::subjects::by_operator;
use self::work::Works;

/// What the operator can look at, by module.
#[derive(Clone)]
struct Operated {
    metrics: Metrics,
    modules: Arc<Vec<OperatedModule>>,
    routes: Arc<Vec<Listed>>,
    subjects: Option<Arc<dyn Subjects>>,
    keys: Option<Arc<dyn OperatedKeys>>,
    admission: Arc<Admission>,
    works: Works,
}

/// What the operator can look at of the service as a whole: the people in its data, and its signing keys.
type Shared = (Option<Arc<dyn Subjects>>, Option<Arc<dyn OperatedKeys>>);

/// The port, and what ends with it.
pub(crate) struct Port {
    /// Guarded as a whole.
    pub(crate) router: Router,
    /// Ends what works on projections; the stores must still be open.
    pub(crate) closer: Closer,
}

struct OperatedModule {
    name: &'static str,
    log: Option<Arc<dyn EventLog>>,
    consumers: Option<Arc<dyn ConsumerStore>>,
    relay: Option<Arc<dyn RelayStore>>,
    projections: Vec<Arc<dyn OperatedProjection>>,
    processes: Vec<Arc<dyn OperatedProcess>>,
    policies: Vec<Policy>,
}

/// The port of a service with these modules.
pub(crate) fn port(
    settings: &AdminSettings,
    metrics: &Metrics,
    health: &Health,
    modules: &[Module],
    (subjects, keys): Shared,
    routes: Vec<Listed>,
    admission: Arc<Admission>,
) -> Port {
    let own = modules
        .iter()
        .flat_map(|module| module.operator_routers.iter().cloned())
        .fold(Router::new(), Router::merge);
    let modules = modules
        .iter()
        .map(|module| OperatedModule {
            name: module.name,
            log: module.log.clone(),
            consumers: module.consumers.clone(),
            relay: module.relay.clone(),
            projections: module.projections.clone(),
            processes: module.processes.clone(),
            policies: module.policies.clone(),
        })
        .collect();
    let works = Works::default();
    let operated = Operated {
        metrics: metrics.clone(),
        modules: Arc::new(modules),
        routes: Arc::new(routes),
        subjects,
        keys,
        admission,
        works: works.clone(),
    };
    let router = Router::new()
        .route("/metrics", get(metrics_text))
        .route("/logs", get(logs))
        .route("/logs/{module}/redrive/{after}", post(relays::redrive))
        .route(
            "/logs/{module}/redrive/{after}/{through}",
            post(relays::redrive_stretch),
        )
        .route("/routes", get(routes_listed))
        .route("/dead-letters", get(dead_letters::list))
        .route(
            "/dead-letters/{module}/{consumer}/{message}/redrive",
            post(dead_letters::redrive),
        )
        .route(
            "/dead-letters/{module}/{consumer}/{message}/discard",
            post(dead_letters::discard),
        )
        .route(
            "/dead-letters/{module}/{consumer}/{message}/withdraw",
            post(dead_letters::withdraw),
        )
        .route("/projections", get(projections::list))
        .route("/projections/{module}/{projection}", get(projections::show))
        .route(
            "/projections/{module}/{projection}/{action}",
            post(projections::act),
        )
        .route("/processes", get(processes::list))
        .route("/processes/{module}/{process}/{id}", get(processes::show))
        .route(
            "/processes/{module}/{process}/{id}/{action}",
            post(processes::act),
        )
        .route(
            "/processes/{module}/{process}/{id}/restart/{step}",
            post(processes::restart),
        )
        .route("/debug/policies", get(policies::list))
        .route(
            "/debug/policies/{module}/{dependency}/{action}",
            post(policies::act),
        )
        .route("/keys", get(keys::list))
        .route("/keys/rotate/{haste}", post(keys::rotate))
        .route("/keys/reseal", post(keys::reseal))
        .route("/subjects", get(subjects::show))
        .route("/subjects/reseal", post(subjects::reseal))
        .route("/subjects/{subject}/shred", post(subjects::shred))
        .with_state(operated)
        .merge(health.router())
        .merge(own)
        .layer(from_fn_with_state(
            guard::Guard::new(settings),
            guard::check,
        ));
    Port {
        router,
        closer: works.closer(),
    }
}

async fn metrics_text(State(operated): State<Operated>) -> Response {
    policies::observe(&operated);
    (
        [(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)],
        operated.metrics.encode(),
    )
        .into_response()
}

/// Each module's log with its head.
async fn logs(State(operated): State<Operated>) -> Response {
    let mut logs = Vec::new();
    for module in operated.modules.iter() {
        let Some(log) = &module.log else { continue };
        logs.push(match log.head().await {
            Ok(head) => json!({"module": module.name, "log": log.id(), "head": head}),
            Err(error) => {
                json!({"module": module.name, "log": log.id(), "error": error.to_string()})
            }
        });
    }
    axum::Json(json!({"data": logs})).into_response()
}

async fn routes_listed(State(operated): State<Operated>) -> Response {
    let routes: Vec<Value> = operated
        .routes
        .iter()
        .map(|route| {
            json!({
                "method": route.method.as_str(), "path": route.path, "access": route.access.to_string(),
                "module": route.module, "summary": route.summary,
            })
        })
        .collect();
    axum::Json(json!({"data": routes})).into_response()
}

/// A short error for the operator, who may see what is wrong.
fn refused(status: StatusCode, reason: &str) -> Response {
    (status, axum::Json(json!({"error": reason}))).into_response()
}
