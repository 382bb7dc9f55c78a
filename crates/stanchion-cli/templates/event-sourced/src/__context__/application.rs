//! The use cases: a file each. No transport, no SQL.

mod close;
mod open;
mod read;
mod rename;
pub(crate) mod seen;
// <use-cases>
// </use-cases>

use std::sync::Arc;

use stanchion::eventsourcing::{ExecuteError, LogId, Repository};

use super::domain::__thing__::{__Thing__, __Thing__Refusal};

/// Why a use case did not do what it was asked for.
pub(crate) type Failure = ExecuteError<__Thing__Refusal>;

/// What the use cases work with.
#[derive(Clone)]
pub(crate) struct __Things__ {
    repository: Arc<Repository<__Thing__>>,
}

impl __Things__ {
    pub(crate) fn new(repository: Arc<Repository<__Thing__>>) -> Self {
        Self { repository }
    }

    pub(crate) fn log_id(&self) -> LogId {
        self.repository.log().id()
    }
}
