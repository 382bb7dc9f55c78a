use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{LogId, Message, Place};

/// A consumer's store could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("the consumer's store is unavailable: {0}")]
pub struct StoreError(pub String);

/// Why a message is put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkedState {
    /// It will be tried again, or waits behind an earlier message of its key.
    Retry,
    /// Every attempt failed: it waits for an operator, and later ones of its key behind it.
    Dead,
}

/// A message put aside by a consumer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parked {
    /// Which consumer.
    pub consumer: String,
    /// The message, whole.
    pub message: Message,
    /// Why it is here.
    pub state: ParkedState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it may be tried next.
    pub due_at: Timestamp,
    /// What the last attempt said.
    pub reason: String,
    /// When it was first put aside.
    pub parked_at: Timestamp,
}

/// Which dead letters to list.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterFilter {
    /// Only this consumer's.
    pub consumer: Option<String>,
    /// Only in this state; `None` lists both.
    pub state: Option<ParkedState>,
    /// At most so many (bounded by the store at 1,000).
    pub limit: usize,
}

/// Rows of a consumer: progress, retries, dead letters.
///
/// Every method is one transaction of the consumer's own store.
#[async_trait]
pub trait ConsumerStore: Send + Sync {
    /// How far the consumer came in each log.
    async fn progress(&self, consumer: &str) -> Result<HashMap<LogId, Place>, StoreError>;

    /// Moves the consumer's progress forward; never backward.
    async fn advance(&self, consumer: &str, log: LogId, to: Place) -> Result<(), StoreError>;

    /// The keys that have a parked message, out of `keys`.
    async fn blocked(&self, consumer: &str, keys: &[&str]) -> Result<Vec<String>, StoreError>;

    /// Inserts a message that waits behind an earlier one of its key; one that is parked stays as it is.
    async fn wait_behind(&self, parked: &Parked) -> Result<(), StoreError>;

    /// Inserts a parked message, or updates its state, attempts, due time and reason.
    async fn park(&self, parked: &Parked) -> Result<(), StoreError>;

    /// Due retries, only the oldest of each key and no key whose oldest is dead; at most `limit`.
    async fn due(
        &self,
        consumer: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError>;

    /// Deletes a parked message: it was dealt with.
    async fn resolve(&self, consumer: &str, message: Uuid) -> Result<(), StoreError>;

    /// Parked messages for the operator, oldest first.
    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<Parked>, StoreError>;

    /// Makes a dead letter due again now, with no attempts; false if there is none.
    async fn redrive(
        &self,
        consumer: &str,
        message: Uuid,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Gives a dead letter up for good; false if there is none.
    async fn discard(&self, consumer: &str, message: Uuid) -> Result<bool, StoreError>;
}
