use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{LogId, Position};

/// What an operator does with a projection, whatever keeps it.
///
/// Pausing and asking for retries are durable requests: whichever process runs the projection obeys them.
/// Errors are sentences for the operator.
#[async_trait]
pub trait OperatedProjection: Send + Sync {
    /// The projection's name.
    fn name(&self) -> &'static str;

    /// How it is.
    async fn status(&self) -> Result<ProjectionStatus, String>;

    /// Why it is halted, if it is. Asked for by every look at `/ready`: what this process knows is enough where it
    /// runs the projection. By default what [`status`](Self::status) says.
    async fn halted(&self) -> Result<Option<String>, String> {
        let status = self.status().await?;
        let halted = status.state == ProjectionState::Halted;
        Ok(halted.then(|| status.reason.unwrap_or_default()))
    }

    /// Stops applying entries until [`resume`](Self::resume), also over a restart. Reads go on.
    async fn pause(&self) -> Result<(), String>;

    /// Goes on after a pause, and tries again after a halt.
    async fn resume(&self) -> Result<(), String>;

    /// Replays the log into new rows and puts them in the place of the live ones; takes up a rebuild that was
    /// interrupted. Returns the position that the new rows include.
    async fn rebuild(&self) -> Result<Position, String>;

    /// Gives up a rebuild that was interrupted; false if there is none.
    async fn cancel_rebuild(&self) -> Result<bool, String>;

    /// Replays the log into rows of its own and compares them with the live ones.
    async fn verify(&self) -> Result<Verified, String>;

    /// Makes parked entries due again; how many. Entries of one stream are tried in order.
    async fn retry_parked(&self) -> Result<u64, String>;
}

/// How a projection is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProjectionStatus {
    /// Its name.
    pub name: &'static str,
    /// The log it follows.
    pub log: LogId,
    /// What it is doing.
    pub state: ProjectionState,
    /// Why it halted or waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The last entry that is in the rows.
    pub position: Position,
    /// The log's last position.
    pub head: Position,
    /// Positions of the log that it has not looked at yet.
    pub lag: u64,
    /// How long the oldest entry that is not in the rows yet has been in the log; 0 if there is none.
    pub lag_seconds: u64,
    /// Entries put aside.
    pub parked: u64,
    /// How long the first of them has been there; 0 if there is none.
    pub parked_seconds: u64,
    /// Why entries that were made due again are not tried, as far as this process knows; it looks ever less often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked_reason: Option<String>,
    /// A rebuild that is under way or was interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildStatus>,
}

/// What a projection is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectionState {
    /// This process does not run it; another one may.
    #[default]
    NotRunHere,
    /// It follows the log.
    Following,
    /// The transactions that append entries apply them: the rows are never behind.
    Inline,
    /// Its log or store is out; it goes on by itself.
    Waiting,
    /// An operator paused it.
    Paused,
    /// It stands before an entry it cannot apply, or a log it does not know, until somebody acts.
    Halted,
}

/// A rebuild beside the live rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RebuildStatus {
    /// The last entry that is in the new rows.
    pub position: Position,
    /// Whether this process is at it.
    pub running_here: bool,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What comparing the rows with a fresh replay gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verified {
    /// Both sides include the log up to here.
    pub position: Position,
    /// Rows compared, all tables together.
    pub rows: u64,
    /// Rows that differ.
    pub different: u64,
    /// The first of them.
    pub examples: Vec<Difference>,
}

/// A row that is not what a fresh replay makes of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Its table.
    pub table: String,
    /// Its primary key.
    pub key: String,
    /// The live row; `None` if it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// What the replay made; `None` if there should be no such row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<String>,
}

impl Verified {
    /// Whether the rows are what the log says.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.different == 0
    }
}
