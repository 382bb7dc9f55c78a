//! __Things__: rows in a unit of work, and an event for what others must know. `adapters` use `application`, which uses
//! `domain`; no other arrow.

mod adapters;
mod application;
mod domain;

use std::sync::Arc;

use stanchion::eventsourcing::{EventLog, Relay};
use stanchion::server::Module;
use stanchion::sql::Migrations;
use stanchion::telemetry::Metrics;

use crate::store::Store;
use adapters::rows::Rows;
use adapters::{announce, grpc, http};
use application::__Things__;

/// Its tables.
#[must_use]
pub fn migrations() -> Migrations {
    Migrations::new("__context__")
        .with(
            1,
            "__table__",
            include_str!("../migrations/__context__/0001___table__.up.sql"),
            include_str!("../migrations/__context__/0001___table__.down.sql"),
        )
    // <migrations>
    // </migrations>
}

/// What it announces.
pub fn relay(log: Arc<dyn EventLog>) -> Relay {
    Relay::new("__context__", log, announce::announce)
}

/// What it exports to a service.
#[must_use]
#[allow(unused_variables, reason = "consumers and aggregates that are added count by the metrics")]
pub fn module(store: &Store, metrics: &Metrics) -> Module {
    let things = __Things__::new(store.db.clone(), store.log.id(), Arc::new(Rows));
    let module = Module::new("__context__")
        .routes(http::routes(things.clone()))
        .grpc(grpc::service(things));
    // <workers>
    // </workers>
    store.under(module)
}
