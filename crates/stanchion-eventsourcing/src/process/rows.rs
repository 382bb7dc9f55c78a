use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What an instance that has not ended is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// It asked for a step and waits.
    Running,
    /// It undoes what was done.
    Compensating,
    /// It stands still until an operator has it go on.
    Paused,
    /// It is over.
    Ended,
}

impl InstanceState {
    /// Its word, as in metrics and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Compensating => "compensating",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }
}

/// An instance in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRow {
    /// Which process: its category.
    pub process: String,
    /// Which instance.
    pub id: String,
    /// The definition it goes by; 0 if the list does not know, of an instance that was undone after it had ended.
    pub definition: u32,
    /// What it is doing.
    pub state: InstanceState,
    /// The step it waits at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Why it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it began.
    pub begun_at: Timestamp,
    /// When something last happened to it.
    pub changed_at: Timestamp,
}

/// Which instances to list.
#[derive(Clone, Debug, Default)]
pub struct InstanceFilter {
    /// Only in this state; `None` lists all that have not ended.
    pub state: Option<InstanceState>,
    /// At most so many (bounded by the list at 1,000), those that nothing happened to for longest first.
    pub limit: usize,
}

/// How many instances of a definition are in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceCount {
    /// The definition.
    pub definition: u32,
    /// The state.
    pub state: InstanceState,
    /// How many.
    pub count: u64,
}

/// The instances that have not ended, of every process of a module: rows made of the log, so a little behind it.
#[async_trait]
pub trait InstanceList: Send + Sync {
    /// Instances of a process; errors are sentences for the operator.
    async fn list(
        &self,
        process: &str,
        filter: &InstanceFilter,
    ) -> Result<Vec<InstanceRow>, String>;

    /// How many there are of each kind that has any.
    async fn counts(&self, process: &str) -> Result<Vec<InstanceCount>, String>;
}
