use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::TimerChange;

/// A pure decider: commands in, events or a refusal out.
///
/// No clock, no randomness, no I/O: ids and times arrive in commands. Events are a serde enum
/// tagged `#[serde(tag = "type", content = "data", rename_all = "snake_case")]`; the tag is the
/// event's type in the log.
pub trait Aggregate: Default + Clone + Send + Sync + 'static {
    /// The kind of stream: part of every stream's name, the same for ever.
    const CATEGORY: &'static str;

    /// What it can be asked.
    type Command: Send + Sync;

    /// What can happen to it.
    type Event: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;

    /// Why it may say no.
    type Refusal: std::error::Error + Send + Sync + 'static;

    /// Decides what happens; nothing (`vec![]`) is a fine answer.
    ///
    /// # Errors
    /// The refusal, when the rules forbid it.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// Takes in what happened. Never fails: what is in the log is a fact.
    fn evolve(&mut self, event: &Self::Event);

    /// Timers that an event sets or clears; their rows commit with it.
    fn timers(_event: &Self::Event) -> Vec<TimerChange> {
        Vec::new()
    }
}
