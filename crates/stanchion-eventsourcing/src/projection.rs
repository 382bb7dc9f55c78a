mod operated;

use async_trait::async_trait;

use crate::{Filter, Recorded, UnknownEvent};

pub use operated::{
    Difference, OperatedProjection, ProjectionState, ProjectionStatus, RebuildStatus, Verified,
};

/// Why an event could not be turned into rows.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The store failed; the batch is rolled back and tried again.
    #[error("the projection's store failed: {0}")]
    Store(String),
    /// The event itself cannot be applied: the projection halts, or parks it if it was made so.
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
/// Each entry that passes the filter is applied exactly once, in order. What it does must follow from the entries
/// and from its own tables alone: a rebuild replays the same entries into empty tables and must get the same rows.
#[async_trait]
pub trait Projection<Tx: Send>: Send + Sync {
    /// Its name: part of its checkpoint, the same for ever.
    fn name(&self) -> &'static str;

    /// The entries it wants.
    fn filter(&self) -> Filter;

    /// What it makes of an entry, as a number: to be raised whenever that changes.
    ///
    /// A rebuild that another version began is not gone on with. Live rows stay what they are until somebody rebuilds.
    fn version(&self) -> u32 {
        1
    }

    /// The tables it writes, parents before children; nobody else writes them.
    ///
    /// With them it can be rebuilt beside the live rows and verified. Without (the default) a rebuild empties the
    /// rows first and readers see them grow again.
    fn tables(&self) -> &'static [&'static str] {
        &[]
    }

    /// Applies one entry.
    ///
    /// # Errors
    /// See [`ProjectionError`]; nothing is skipped.
    async fn apply(&self, tx: &mut Tx, event: &Recorded) -> Result<(), ProjectionError>;

    /// Applies several entries, in order: by default one after the other.
    ///
    /// A projection that sums up overrides it, folds the entries in memory and writes each row once. It must not
    /// depend on where one batch ends and the next begins: after a poisonous entry, batches are cut anew.
    ///
    /// # Errors
    /// See [`ProjectionError`]; nothing is skipped. It need not say which entry it was: that is found out.
    async fn apply_batch(&self, tx: &mut Tx, events: &[Recorded]) -> Result<(), ProjectionError> {
        for event in events {
            self.apply(tx, event).await?;
        }
        Ok(())
    }

    /// Empties the rows, before the log is replayed into them.
    ///
    /// # Errors
    /// The store failed.
    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError>;
}
