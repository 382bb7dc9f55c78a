//! Admission: who is let in while there is more to do than can be done, decided before a body is read.
//!
//! It stands at each route, where the router has found out which one it is: its [`Lane`] has its priority, and what its
//! requests usually take. One limit is shared by all routes, so that it is about the whole process; times are compared
//! within a route, so that a change of the mix is no overload (see [`stanchion_resilience::adaptive::Kind`]). What is
//! answered from memory (health, documents, 404) passes no limit.

mod body;
mod foreign;
mod lane;
mod metrics;
mod permit;
mod rates;
mod settings;

pub(crate) use body::{TooMany, awaited};
pub(crate) use foreign::AdmitForeign;
pub(crate) use lane::{HEADER, Lane, Lanes};
pub(crate) use permit::{Permit, Working};
pub(crate) use rates::Counting;
pub use rates::network;
pub use settings::AdmissionSettings;

use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde_json::{Value, json};
use stanchion_auth::Principal;
use stanchion_resilience::adaptive::{Adaptive, Place};
use stanchion_resilience::deadline::Deadline;
use stanchion_resilience::{Dice, Moment, Priority};
use stanchion_telemetry::Metrics;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::metrics::AdmissionMetrics;
use self::rates::Rates;
use crate::context::Context;
use crate::grpc::HealthService;
use crate::metrics::ServerMetrics;
use crate::service::is_health;
use crate::{Problem, codes};

/// One limit for all that the public port is asked.
#[derive(Debug)]
pub(crate) struct Admission {
    limit: Adaptive,
    rates: Rates,
    /// One for each body that is waited for.
    arriving: Arc<Semaphore>,
    arriving_max: usize,
    metrics: AdmissionMetrics,
    server: ServerMetrics,
    is_adaptive: bool,
    in_flight_max: usize,
}

impl Admission {
    pub(crate) fn new(
        settings: &AdmissionSettings,
        in_flight_max: usize,
        metrics: &Metrics,
        server: ServerMetrics,
        counting: Option<&Counting>,
    ) -> Self {
        let adaptive = settings.adaptive(in_flight_max);
        Self {
            limit: Adaptive::mixed(&adaptive, Dice::system(), Moment::now()),
            rates: Rates::new(settings, counting),
            arriving: Arc::new(Semaphore::new(in_flight_max)),
            arriving_max: in_flight_max,
            metrics: AdmissionMetrics::new(metrics),
            server,
            is_adaptive: settings.adaptive_on,
            in_flight_max,
        }
    }

    /// Lets a request in, at once or after a short wait. Calls from within a request inherit its place.
    ///
    /// # Errors
    /// 503 `OVERLOADED`; nothing was done.
    pub(crate) async fn admit<'c>(
        &self,
        lane: &Lane,
        headers: &HeaderMap,
        context: &'c Context,
    ) -> Result<Working<'c>, Problem> {
        let working = Working::of(context);
        let asked = lane.asked(headers, context.present);
        if !self.enter_at_once(lane, asked, context) {
            // In a box: who has to wait must not make every request's future large.
            Box::pin(self.enter(lane, asked, context)).await?;
        }
        Ok(working)
    }

    /// The same for whoever has the request's [`Working`] already.
    ///
    /// # Errors
    /// 503 `OVERLOADED`; nothing was done.
    pub(crate) async fn enter(
        &self,
        lane: &Lane,
        asked: Priority,
        context: &Context,
    ) -> Result<(), Problem> {
        if context.is_inner {
            return Ok(());
        }
        let deadline = context
            .deadline()
            .map_or(Deadline::NONE, |end| crate::Deadline(end).into());
        let entered = self.limit.enter(asked, deadline).await;
        self.metrics.asked(asked, entered.is_ok());
        let Ok(place) = entered else {
            self.server.shed("overloaded");
            return Err(codes::OVERLOADED.problem());
        };
        self.permit(lane, place, context);
        Ok(())
    }

    /// The same without a wait; false when there is no place yet.
    fn enter_at_once(&self, lane: &Lane, asked: Priority, context: &Context) -> bool {
        if context.is_inner {
            return true;
        }
        // Between a head and its route nothing is waited for: the clock was read for it.
        let now = Moment::from(context.started);
        let Some(place) = self.limit.enter_at_once(now, asked) else {
            return false;
        };
        self.metrics.asked(asked, true);
        self.permit(lane, place, context);
        true
    }

    fn permit(&self, lane: &Lane, place: Place, context: &Context) {
        let permit = Permit::new(lane.kind.clone(), place);
        *context.permit.lock() = Some(permit);
    }

    /// Counts a request of a caller that proved who it is.
    ///
    /// # Errors
    /// 429 `RATE_LIMITED`.
    pub(crate) async fn caller(
        &self,
        principal: &Principal,
        context: &Context,
    ) -> Result<(), Problem> {
        if context.is_inner {
            return Ok(());
        }
        let counted = self.rates.caller(principal).await;
        counted.inspect_err(|_| self.server.shed("caller_rate"))
    }

    /// Whether callers are counted.
    pub(crate) fn counts_callers(&self) -> bool {
        self.rates.callers.is_some()
    }

    /// Whether addresses are counted.
    pub(crate) fn counts_addresses(&self) -> bool {
        self.rates.addresses.is_some()
    }

    async fn address(&self, context: &Context) -> Result<(), Problem> {
        let Some(address) = context.remote.filter(|_| !context.is_inner) else {
            return Ok(());
        };
        let counted = self.rates.address(address).await;
        counted.inspect_err(|_| self.server.shed("address_rate"))
    }

    /// A place among the bodies that are waited for; none when there are too many.
    fn begin_arriving(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.arriving).try_acquire_owned();
        place.inspect_err(|_| self.server.shed("arriving")).ok()
    }

    /// Writes how things are into the gauges; called before metrics are read.
    pub(crate) fn observe(&self) {
        self.metrics.observe(&self.limit, &self.rates);
        let arriving = self.arriving_max - self.arriving.available_permits();
        let arriving = i64::try_from(arriving).unwrap_or(i64::MAX);
        self.metrics.arriving.set(arriving);
    }

    /// How things are, for the operator.
    pub(crate) fn shown(&self) -> Value {
        json!({
            "limit": self.limit.limit(),
            "adaptive": self.is_adaptive,
            "in_flight_max": self.in_flight_max,
            "running": self.limit.running(),
            "queued": self.limit.waiting(),
            "felt": self.limit.felt(),
            "address_rate": self.rates.addresses.is_some(),
            "caller_rate": self.rates.callers.is_some(),
        })
    }
}

/// Whether a route answers however much there is to do.
pub(crate) fn is_always_open(route: &str) -> bool {
    // The last is the one route of them all in somebody's own router.
    is_probe(route) || method_of_health(route) == Some("/{*rest}")
}

/// The same of a path as it was asked for. Whoever only looks like it (a method that health does not have, a route's
/// text sent as a path) is one of many.
fn is_probe(path: &str) -> bool {
    let exists = |method| matches!(method, "/Check" | "/Watch" | "/List");
    is_health(path) || method_of_health(path).is_some_and(exists)
}

fn method_of_health(path: &str) -> Option<&str> {
    path.strip_prefix('/')?.strip_prefix(HealthService::NAME)
}

/// The refusal of an address that asks too often, before anything else is done for it. The request itself is not held while
/// it is counted.
pub(crate) fn count_address<'a>(
    admission: &'a Admission,
    request: &Request,
) -> impl Future<Output = Option<Response>> + Send + use<'a> {
    let context = request.extensions().get::<Arc<Context>>().cloned();
    let counted = context.filter(|_| !is_probe(request.uri().path()));
    async move {
        let refused = admission.address(&*counted?).await.err()?;
        Some(refused.into_response())
    }
}

#[cfg(test)]
mod tests {
    use super::{is_always_open, is_probe};

    #[test]
    fn health_is_open_and_what_only_looks_like_it_is_not() {
        for open in [
            "/health",
            "/ready",
            "/grpc.health.v1.Health/Check",
            "/grpc.health.v1.Health/Watch",
            "/grpc.health.v1.Health/{*rest}",
        ] {
            assert!(is_always_open(open), "{open}");
        }
        for other in [
            "/",
            "/healthy",
            "/health/",
            "/api/v1/health",
            "/{*rest}",
            "/grpc.health.v1.Health",
            "/grpc.health.v1.Health/",
            "/grpc.health.v1.Health/Invented",
            "/grpc.health.v1.HealthCheck/Check",
            "/my.grpc.health.v1.Health/Check",
        ] {
            assert!(!is_always_open(other), "{other}");
        }
    }

    #[test]
    fn the_text_of_a_route_is_no_path_that_is_open() {
        assert!(is_probe("/grpc.health.v1.Health/Check"));
        assert!(!is_probe("/grpc.health.v1.Health/{*rest}"));
    }
}
