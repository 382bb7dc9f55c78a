//! A service put together out of its modules: what answers, what is looked after, and nothing that listens or runs yet.

use std::sync::Arc;

use axum::Router;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::Service;
use crate::admission::Admission;
use crate::context::{Lent, PUBLIC_STREAMS_MAX};
use crate::metrics::ServerMetrics;
use crate::service::{
    Health, Listed, Module, Mounts, Network, Routed, ServerSettings, State, docs_router,
};
use crate::stack::{self, Around, InFlight, Stack};

/// A service put together, before it listens.
pub(super) struct Assembled {
    pub(super) around: Around,
    pub(super) health: Health,
    pub(super) stack: Stack,
    pub(super) waits: CancellationToken,
    pub(super) modules: Vec<Module>,
    pub(super) routes: Vec<Listed>,
    pub(super) grpc_health: Option<crate::grpc::HealthService>,
}

impl Service {
    /// The whole stack as a tower service, without ports, workers or a stop: for tests.
    ///
    /// # Errors
    /// [`StartError::Settings`].
    pub fn into_router(self) -> Result<Router, StartError> {
        let mut service = self;
        let assembled = service.assemble()?;
        assembled.health.enter(State::Ready);
        Ok(Router::new().fallback_service(assembled.around))
    }

    pub(super) fn assemble(&mut self) -> Result<Assembled, StartError> {
        let mut modules = std::mem::take(&mut self.modules);
        let signer = self.make_signer().map_err(StartError::Settings)?;
        let mounts = Mounts::of(self, &mut modules);
        let checks = modules
            .iter()
            .flat_map(|module| module.checks.clone())
            .collect();
        let health = Health::new(checks, self.settings.check_timeout);
        let waits = CancellationToken::new();
        let metrics = ServerMetrics::new(&self.metrics);
        let (in_flight_max, server) = (self.settings.in_flight_max, metrics.clone());
        let admission = &self.settings.admission;
        let counting = self.counting.take();
        let admission = Admission::new(
            admission,
            in_flight_max,
            &self.metrics,
            server,
            counting.as_ref(),
        );
        let stack = Stack {
            lent: Arc::new(Lent {
                fresh_calls: Arc::default(),
                metrics: metrics.clone(),
                admission: Arc::new(admission),
                signer,
                stopping: waits.clone(),
                waiting: Arc::new(Semaphore::new(self.settings.waiting_max)),
                public_streams: Arc::new(Semaphore::new(PUBLIC_STREAMS_MAX)),
                event_stream_timeout: self.settings.event_stream_timeout,
            }),
            in_flight: InFlight::default(),
            trusted: Arc::new(trusted(&self.settings)),
            forwarded_by: self.settings.forwarded_by,
            metrics,
        };
        if let Some(within) = self.in_process.take() {
            within.open(mounts.grpc, Arc::clone(&stack.lent));
        }
        let own = health.router().merge(docs_router(&mounts.document));
        let routed = Routed::of(own, mounts.services, mounts.outlet);
        let around = stack::around(routed, &stack, &self.settings);
        Ok(Assembled {
            around,
            health,
            stack,
            waits,
            modules,
            routes: mounts.listed,
            grpc_health: mounts.grpc_health,
        })
    }
}

/// Whose word counts for whom a request comes from.
pub(super) fn trusted(settings: &ServerSettings) -> Vec<Network> {
    settings
        .trusted_proxies
        .iter()
        .filter_map(|text| Network::parse(text))
        .collect()
}
