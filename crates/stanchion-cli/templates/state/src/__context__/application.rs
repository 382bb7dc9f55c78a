//! The use cases: a file each. No transport, no SQL.

mod close;
mod failure;
mod open;
mod ports;
mod read;
mod rename;
pub(crate) mod seen;
mod work;
// <use-cases>
// </use-cases>

use std::sync::Arc;

use stanchion::eventsourcing::LogId;
use stanchion::sql::Db;

pub(crate) use failure::Failure;
pub(crate) use ports::__Thing__Repository;

/// What the use cases work with.
#[derive(Clone)]
pub(crate) struct __Things__ {
    db: Db,
    log: LogId,
    rows: Arc<dyn __Thing__Repository>,
}

impl __Things__ {
    pub(crate) fn new(db: Db, log: LogId, rows: Arc<dyn __Thing__Repository>) -> Self {
        Self { db, log, rows }
    }

    pub(crate) fn log_id(&self) -> LogId {
        self.log
    }
}
