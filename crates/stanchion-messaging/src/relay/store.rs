use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Redrive, RelayState};
use crate::{ConsumerStore, LogId, StoreError};

/// Rows of a relay, in its context's store: who is it, how far it came, what is wanted again.
///
/// Each holder of the lease gets a greater token than the ones before, and a write with an old one is refused: a holder that
/// was paused and does not know yet that it is none cannot set the checkpoint back. Every method is one transaction.
#[async_trait]
pub trait RelayStore: Send + Sync {
    /// Takes the lease for that long, if nobody holds it; gives the token.
    ///
    /// # Errors
    /// The store does not answer.
    async fn take(&self, relay: &str, ttl: Duration) -> Result<Option<i64>, StoreError>;

    /// Holds it for another `ttl` from now; false if it is lost.
    ///
    /// # Errors
    /// The store does not answer.
    async fn renew(&self, relay: &str, token: i64, ttl: Duration) -> Result<bool, StoreError>;

    /// Gives it up; nothing happens if it is lost.
    ///
    /// # Errors
    /// The store does not answer: it ends by itself.
    async fn release(&self, relay: &str, token: i64) -> Result<(), StoreError>;

    /// How far the relay of that log came; from now on no older token writes. `None`: this one is too old already.
    ///
    /// # Errors
    /// The store does not answer.
    async fn load(
        &self,
        relay: &str,
        log: LogId,
        token: i64,
    ) -> Result<Option<RelayState>, StoreError>;

    /// Replaces that; false if another holder has loaded it since.
    ///
    /// # Errors
    /// The store does not answer, and it may be written nevertheless.
    async fn save(
        &self,
        relay: &str,
        log: LogId,
        token: i64,
        state: &RelayState,
    ) -> Result<bool, StoreError>;

    /// Where messages are put aside that the broker takes never: dead letters of the consumer `relay-NAME`, beside those of
    /// the context's consumers.
    fn letters(&self) -> &dyn ConsumerStore;

    /// Wishes that a stretch be announced again: whoever holds the lease takes it up within seconds.
    ///
    /// # Errors
    /// The store does not answer.
    async fn wish(&self, relay: &str, wish: &Redrive) -> Result<(), StoreError>;

    /// What is wished for, oldest first; at most 100.
    ///
    /// # Errors
    /// The store does not answer.
    async fn wishes(&self, relay: &str) -> Result<Vec<(Uuid, Redrive)>, StoreError>;

    /// Those are in the saved state.
    ///
    /// # Errors
    /// The store does not answer: they are taken up again, which does no harm.
    async fn granted(&self, relay: &str, wishes: &[Uuid]) -> Result<(), StoreError>;
}
