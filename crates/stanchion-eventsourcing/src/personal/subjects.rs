use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::VaultError;
use crate::{LogId, Metadata, Position};

/// What an operator does about the people in a service's data; the service puts together what that takes.
///
/// Given to the service, it is reached through the admin port and the subcommand `subjects`.
#[async_trait]
pub trait Subjects: Send + Sync {
    /// The log in which shreddings are recorded: by it an operator's command knows the service it means.
    fn log(&self) -> LogId;

    /// Makes all that the service keeps about a subject unreadable: its key and with it events and contracts, and the
    /// rows, snapshots and answers that hold something in the clear.
    ///
    /// After a failure some of it may be done: do it again. A repeat changes nothing more and gives the same proof.
    ///
    /// # Errors
    /// See [`SubjectsError`].
    async fn shred(&self, subject: &str, metadata: &Metadata) -> Result<Shredded, SubjectsError>;

    /// Seals at most `limit` subjects' keys that another master key sealed with the one that seals now.
    ///
    /// Each key is sealed anew by itself, so it can be interrupted and done again at any time, in several processes too.
    ///
    /// # Errors
    /// See [`SubjectsError`].
    async fn reseal(&self, limit: usize) -> Result<Resealed, SubjectsError>;
}

/// The proof that a subject was shredded: what is recorded about it, to be kept outside of the store as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shredded {
    /// Whose data it was.
    pub subject: String,
    /// When; the first time counts.
    pub at: Timestamp,
    /// The log that has the event of it.
    pub log: LogId,
    /// Where in that log.
    pub position: Position,
    /// The event's id.
    pub event: Uuid,
    /// Snapshots that named the subject and were deleted now; none at a repeat.
    pub snapshots: u64,
}

/// How far the change of the master key is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resealed {
    /// Keys that were sealed anew now.
    pub resealed: u64,
    /// The fingerprints of other master keys that still seal some; empty: they may be taken away.
    pub left: Vec<String>,
}

/// Why nothing, or not all, was done about a subject.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubjectsError {
    /// It cannot be: there is no such subject, or it may not go, or a master key is missing.
    #[error("{0}")]
    Refused(String),
    /// A store is out; do it again.
    #[error("{0}")]
    Unavailable(String),
}

impl From<VaultError> for SubjectsError {
    fn from(error: VaultError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
