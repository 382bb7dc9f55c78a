use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{LogId, Message, Place, Position};

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
    /// This version of the consumer has no handler for its contract: it waits for one that has, and later ones of its key
    /// behind it.
    Unknown,
}

/// What is known of a parked message since it was first put aside, beside its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkedNote {
    /// A relay's letter that had been announced before the broker refused it: groups may have had it.
    AnnouncedBefore,
    /// Put aside before its first attempt: processes ended again and again when it was among what came next.
    Suspect,
}

impl ParkedNote {
    /// What the reason of a message with this note begins with: so people read it, and versions without the note tell it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::AnnouncedBefore => "announced before and refused now",
            Self::Suspect => "put aside before its first attempt",
        }
    }

    /// The note that a version without any has told by its words, in the reason.
    #[must_use]
    pub fn told_in(reason: &str) -> Option<Self> {
        let mut all = [Self::AnnouncedBefore, Self::Suspect].into_iter();
        all.find(|note| reason.starts_with(note.words()))
    }
}

/// What becomes of a key after the last attempt of one of its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterLastAttempt {
    /// Later messages of the key wait behind the dead letter until an operator redrives or discards it.
    #[default]
    KeyWaits,
    /// They go on without it: for messages that do not build on each other.
    KeyGoesOn,
}

/// How far a consumer came in a line of announcements: a partition of a log, a family of contracts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The log.
    pub log: LogId,
    /// The partition.
    pub partition: u16,
    /// The contracts' family.
    pub family: String,
    /// Everything of the line up to here is dealt with: handled, or parked.
    pub position: Position,
    /// The line goes on up to here at least, and something before it is missing.
    pub ahead: Option<Position>,
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
    /// How often it was tried; a retry is counted before it begins.
    pub attempts: u32,
    /// An attempt has begun of which nobody has told how it ended: it is under way, or ended with its process.
    #[serde(default)]
    pub under_way: bool,
    /// What is known of it since it was first put aside; it stays, whatever is tried and said since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<ParkedNote>,
    /// When it may be tried next; of a dead letter, when it died.
    pub due_at: Timestamp,
    /// What the last attempt said that ended.
    pub reason: String,
    /// When it was first put aside.
    pub parked_at: Timestamp,
}

impl Parked {
    /// That an attempt is [under way](Parked::under_way), in words: so operators read it, and so versions without the field said it, in
    /// the reason.
    pub const UNDER_WAY: &'static str = "an attempt is under way, or ended with its process";
}

/// Which dead letters to list.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterFilter {
    /// Only this consumer's.
    pub consumer: Option<String>,
    /// Only in this state; `None` lists all.
    pub state: Option<ParkedState>,
    /// At most so many (bounded by the store at 1,000).
    pub limit: usize,
}

impl DeadLetterFilter {
    /// Whether it is of that consumer and in that state.
    #[must_use]
    pub fn wants(&self, parked: &Parked) -> bool {
        let consumer = self.consumer.as_ref();
        consumer.is_none_or(|name| *name == parked.consumer)
            && self.state.is_none_or(|state| state == parked.state)
    }
}

/// Rows of a consumer: progress, retries, dead letters.
///
/// Every method is one transaction of the consumer's own store.
#[async_trait]
pub trait ConsumerStore: Send + Sync {
    /// Whether a message could be put aside now; nothing changes by it. A consumer whose store failed asks before it takes
    /// anything from a broker again, which counts what it delivers. A store that does not say takes it.
    ///
    /// # Errors
    /// It takes no writes.
    async fn takes_writes(&self, consumer: &str) -> Result<(), StoreError> {
        let _does_not_say = consumer;
        Ok(())
    }

    /// How far the consumer came in each log.
    async fn progress(&self, consumer: &str) -> Result<HashMap<LogId, Place>, StoreError>;

    /// Moves the consumer's progress forward; never backward.
    async fn advance(&self, consumer: &str, log: LogId, to: Place) -> Result<(), StoreError>;

    /// Counts a process that begins to handle what comes after that place in that log; gives how many have begun there before
    /// and did not [end](Self::ends) in good order, since one began elsewhere. A store that does not say counts none.
    async fn begins(&self, consumer: &str, log: LogId, after: Position) -> Result<u32, StoreError> {
        let _cannot_tell = (consumer, log, after);
        Ok(0)
    }

    /// A process that [began](Self::begins) after that place ends in good order, and counts no more. Nothing changes where one
    /// has begun elsewhere since.
    async fn ends(&self, consumer: &str, log: LogId, after: Position) -> Result<(), StoreError> {
        let _counts_none = (consumer, log, after);
        Ok(())
    }

    /// How far it came in each line.
    async fn marks(&self, consumer: &str) -> Result<Vec<Mark>, StoreError>;

    /// Moves marks forward; one that is further already stays as it is.
    async fn settle(&self, consumer: &str, marks: &[Mark]) -> Result<(), StoreError>;

    /// The keys that have a parked message, out of `keys`; dead letters count unless their keys go on.
    async fn blocked(
        &self,
        consumer: &str,
        keys: &[&str],
        after: AfterLastAttempt,
    ) -> Result<Vec<String>, StoreError>;

    /// All keys that have a parked message, whatever its state; `None`: they are more than `limit`, or it cannot tell.
    async fn parked_keys(
        &self,
        consumer: &str,
        limit: usize,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let _cannot_tell = (consumer, limit);
        Ok(None)
    }

    /// Inserts a message that waits behind an earlier one of its key; one that is parked stays as it is.
    async fn wait_behind(&self, parked: &Parked) -> Result<(), StoreError>;

    /// Inserts a parked message, or updates its state, attempts, whether one is under way, due time and reason, and leaves its
    /// note.
    async fn park(&self, parked: &Parked) -> Result<(), StoreError>;

    /// Before another attempt and after it: updates a parked message's state, attempts, whether one is under way, due time and
    /// reason, and leaves its note; false, and nothing, if it is not there any more: somebody else has dealt with it.
    async fn park_again(&self, parked: &Parked) -> Result<bool, StoreError>;

    /// Due retries, only the oldest of each key and no key whose oldest is dead or unknown; at most `limit`. Where keys go
    /// on, dead letters are no part of theirs.
    async fn due(
        &self,
        consumer: &str,
        now: Timestamp,
        after: AfterLastAttempt,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError>;

    /// Retries that are due after that time, which no wait of the consumer reaches: a clock that has been set back since put
    /// them aside. Only the oldest of each key, at most `limit`, and none of its [delayed messages](Parked::delayed), which are
    /// due then on purpose. A store that does not say finds none.
    async fn due_beyond(
        &self,
        consumer: &str,
        end: Timestamp,
        after: AfterLastAttempt,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let _cannot_tell = (consumer, end, after, limit);
        Ok(Vec::new())
    }

    /// The oldest message that is parked of that key, if it is a retry and due; where keys go on, dead letters are no part of
    /// theirs. A store that does not say finds none: it is among those that are [due](Self::due).
    async fn next_of(
        &self,
        consumer: &str,
        key: &str,
        now: Timestamp,
        after: AfterLastAttempt,
    ) -> Result<Option<Parked>, StoreError> {
        let _cannot_tell = (consumer, key, now, after);
        Ok(None)
    }

    /// Unknown messages of those contracts, which now have handlers; only the oldest of each key, at most `limit`.
    async fn unknown(
        &self,
        consumer: &str,
        contracts: &[&str],
        after: AfterLastAttempt,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError>;

    /// How many messages are parked in each state that has any.
    async fn counts(&self, consumer: &str) -> Result<Vec<(ParkedState, u64)>, StoreError>;

    /// Deletes a parked message: it was dealt with.
    async fn resolve(&self, consumer: &str, message: Uuid) -> Result<(), StoreError>;

    /// Parked messages for the operator, oldest first.
    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<Parked>, StoreError>;

    /// The parked message of that id, of each consumer that has it, however many are older. A store that does not say how
    /// looks among those that it [lists](Self::list).
    async fn find(&self, message: Uuid) -> Result<Vec<Parked>, StoreError> {
        let everything = DeadLetterFilter {
            limit: usize::MAX,
            ..DeadLetterFilter::default()
        };
        let mut found = self.list(&everything).await?;
        found.retain(|parked| parked.message.id == message);
        Ok(found)
    }

    /// Dead letters of all consumers that died before that, the longest dead first; at most `limit`. A store that does not say
    /// how looks among those that it [lists](Self::list), of which the oldest may have died last.
    async fn dead_before(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let dead = DeadLetterFilter {
            consumer: None,
            state: Some(ParkedState::Dead),
            limit: usize::MAX,
        };
        let mut found = self.list(&dead).await?;
        found.retain(|parked| parked.due_at < before);
        found.sort_by_key(|parked| parked.due_at);
        found.truncate(limit);
        Ok(found)
    }

    /// Makes a dead letter due again now, with no attempts; false if there is none.
    async fn redrive(
        &self,
        consumer: &str,
        message: Uuid,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Gives a dead letter up for good, or one that is unknown; false if there is none.
    async fn discard(&self, consumer: &str, message: Uuid) -> Result<bool, StoreError>;

    /// Gives up a message that waits for another attempt, for an earlier one of its key, or for its time; false if there is none,
    /// or an attempt at it is under way. A store that does not say gives none up.
    async fn withdraw(&self, consumer: &str, message: Uuid) -> Result<bool, StoreError> {
        let _cannot_tell = (consumer, message);
        Ok(false)
    }
}
