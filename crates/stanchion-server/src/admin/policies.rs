//! What guards the calls to dependencies, and what lets requests in: how it is, and an operator's hand on the breakers.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use serde_json::{Map, Value, json};
use stanchion_resilience::Moment;
use stanchion_resilience::breaker::{self, Breaker};
use stanchion_resilience::policy::Policy;

use super::{Operated, refused};

/// What can be done with a breaker.
const ACTIONS: &str = "force-open, force-closed, reset";

/// Whose breaker; both are words of the program's own.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Guarded {
    module: &'static str,
    dependency: String,
}

pub(super) async fn list(State(operated): State<Operated>) -> Response {
    let policies: Vec<Value> = all(&operated)
        .map(|(module, policy)| shown(module, policy))
        .collect();
    let data = json!({"admission": operated.admission.shown(), "policies": policies});
    axum::Json(json!({"data": data})).into_response()
}

pub(super) async fn act(
    State(operated): State<Operated>,
    Path((module, dependency, action)): Path<(String, String, String)>,
) -> Response {
    let found = all(&operated).find(|(of, policy)| *of == module && policy.name() == dependency);
    let Some((module, policy)) = found else {
        let known: Vec<String> = all(&operated)
            .map(|(module, policy)| format!("{module}/{}", policy.name()))
            .collect();
        let known = known.join(", ");
        let reason = format!("there is no policy {module}/{dependency}; there are: {known}");
        return refused(StatusCode::NOT_FOUND, &reason);
    };
    let Some(breaker) = policy.breaker() else {
        let reason = format!("the breaker of {module}/{dependency} is switched off");
        return refused(StatusCode::CONFLICT, &reason);
    };
    match action.as_str() {
        "force-open" => breaker.force_open(),
        "force-closed" => breaker.force_closed(),
        "reset" => breaker.reset(),
        _ => {
            let reason = format!("nobody can `{action}` a breaker; there are: {ACTIONS}");
            return refused(StatusCode::NOT_FOUND, &reason);
        }
    }
    let state = breaker.state().label();
    tracing::warn!(
        module,
        dependency,
        state,
        "a breaker was set by an operator"
    );
    axum::Json(shown(module, policy)).into_response()
}

/// Writes how they are into the gauges, before metrics are read.
pub(super) fn observe(operated: &Operated) {
    operated.admission.observe();
    // Of each breaker that can be forced here, whether its policy has metrics or not, and two of one name apart.
    let forced = operated.metrics.gauge_family(
        "stanchion_breaker_forced",
        "1 while an operator holds a breaker open or closed, else 0.",
    );
    for (module, policy) in all(operated) {
        policy.observe();
        if let Some(breaker) = policy.breaker() {
            let dependency = policy.name().to_owned();
            let labels = Guarded { module, dependency };
            let is_forced = is_forced(breaker.state());
            forced.get_or_create(&labels).set(is_forced.into());
        }
    }
}

fn is_forced(state: breaker::State) -> bool {
    matches!(
        state,
        breaker::State::ForcedOpen | breaker::State::ForcedClosed
    )
}

fn all(operated: &Operated) -> impl Iterator<Item = (&'static str, &Policy)> {
    operated.modules.iter().flat_map(|module| {
        let policies = module.policies.iter();
        policies.map(|policy| (module.name, policy))
    })
}

/// Only the parts that are switched on.
fn shown(module: &'static str, policy: &Policy) -> Value {
    let now = Moment::now();
    let mut shown = Map::new();
    let mut add = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    add("module", module.into());
    add("dependency", policy.name().into());
    add("text", policy.to_string().into());
    if let Some(breaker) = policy.breaker() {
        add("breaker", breaker_shown(breaker, now));
    }
    if let Some(retry) = policy.retry() {
        add("retry_budget", tenths(retry.budget().left(now)));
    }
    if let Some(hedge) = policy.hedge() {
        let after = hedge.wait().map(|wait| wait.as_secs_f64() * 1e3);
        let after = after.map_or(Value::Null, tenths);
        add(
            "hedge",
            json!({"after_ms": after, "budget": tenths(hedge.left(now))}),
        );
    }
    if let Some(bulkhead) = policy.bulkhead() {
        let slots = policy.settings().bulkhead.slots;
        let (running, waiting) = (bulkhead.running(), bulkhead.waiting());
        add(
            "bulkhead",
            json!({"slots": slots, "running": running, "waiting": waiting}),
        );
    }
    if let Some(adaptive) = policy.adaptive() {
        let (limit, running) = (adaptive.limit(), adaptive.running());
        add(
            "adaptive",
            json!({"limit": limit, "running": running, "waiting": adaptive.waiting()}),
        );
    }
    if let Some(rate) = policy.rate() {
        add("rate", json!({"left": rate.left(now)}));
    }
    if let Some(throttle) = policy.throttle() {
        add(
            "throttle",
            json!({"refused_share": throttle.refused_share(now)}),
        );
    }
    Value::Object(shown)
}

fn tenths(value: f64) -> Value {
    json!((value * 10.0).round() / 10.0)
}

fn breaker_shown(breaker: &Breaker, now: Moment) -> Value {
    let counts = breaker.counts(now);
    json!({
        "state": breaker.state().label(),
        "calls": counts.calls,
        "failed": counts.failures,
        "slow": counts.slow,
        "slow_above_ms": u64::try_from(breaker.slow_above().as_millis()).unwrap_or(u64::MAX),
    })
}
