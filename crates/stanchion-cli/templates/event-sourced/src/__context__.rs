//! __Things__: event-sourced. `adapters` use `application`, which uses `domain`; no other arrow.

mod adapters;
mod application;
mod domain;

use std::sync::Arc;

use stanchion::eventsourcing::{EventLog, Relay, Repository};
use stanchion::server::Module;
use stanchion::sql::Migrations;
use stanchion::telemetry::Metrics;

use crate::store::Store;
use adapters::{announce, grpc, http};
use application::__Things__;

/// Its tables beside the log: none yet, see `stanchion add projection`.
#[must_use]
pub fn migrations() -> Migrations {
    Migrations::new("__context__")
    // <migrations>
    // </migrations>
}

/// What it announces.
pub fn relay(log: Arc<dyn EventLog>) -> Relay {
    Relay::new("__context__", log, announce::announce)
}

/// What it exports to a service.
#[must_use]
pub fn module(store: &Store, metrics: &Metrics) -> Module {
    let repository = Repository::new(Arc::clone(&store.log)).with_metrics(metrics);
    let things = __Things__::new(Arc::new(repository));
    let module = Module::new("__context__")
        .routes(http::routes(things.clone()))
        .grpc(grpc::service(things));
    // <workers>
    // </workers>
    store.under(module)
}
