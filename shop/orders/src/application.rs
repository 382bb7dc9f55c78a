//! What can be done with orders: a file a use case.

pub(crate) mod cancel_order;
pub(crate) mod place_order;
pub(crate) mod ports;
pub(crate) mod read_order;
pub(crate) mod settle_order;
pub(crate) mod watch_order;

use std::sync::Arc;

use stanchion::eventsourcing::{LogError, Repository, Vault};

use crate::domain::order::Order;
use ports::Catalog;

/// What the use cases work with.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) repository: Arc<Repository<Order>>,
    pub(crate) catalog: Arc<dyn Catalog>,
    /// Seals what is about a customer.
    pub(crate) vault: Arc<dyn Vault>,
}

/// Why an order was not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// There is none, or it is not the caller's to see.
    #[error("no such order")]
    NotFound,
    #[error(transparent)]
    Log(#[from] LogError),
}
