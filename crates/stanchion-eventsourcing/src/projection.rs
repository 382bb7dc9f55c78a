use async_trait::async_trait;

use crate::{Filter, Recorded, UnknownEvent};

/// Why an event could not be turned into rows.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The store failed; the batch is rolled back and tried again.
    #[error("the projection's store failed: {0}")]
    Store(String),
    /// The event itself cannot be applied: the projection halts and says so.
    #[error("the event cannot be applied: {0}")]
    Poison(String),
}

impl From<UnknownEvent> for ProjectionError {
    fn from(error: UnknownEvent) -> Self {
        Self::Poison(error.to_string())
    }
}

/// Turns the log into rows, in a transaction `Tx` that also moves the checkpoint.
///
/// Each entry that passes the filter is applied exactly once, in order.
#[async_trait]
pub trait Projection<Tx: Send>: Send + Sync {
    /// Its name: part of its checkpoint, the same for ever.
    fn name(&self) -> &'static str;

    /// The entries it wants.
    fn filter(&self) -> Filter;

    /// Applies one entry.
    ///
    /// # Errors
    /// See [`ProjectionError`]; nothing is skipped.
    async fn apply(&self, tx: &mut Tx, event: &Recorded) -> Result<(), ProjectionError>;

    /// Empties the rows, before the log is replayed into them.
    ///
    /// # Errors
    /// The store failed.
    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError>;
}
