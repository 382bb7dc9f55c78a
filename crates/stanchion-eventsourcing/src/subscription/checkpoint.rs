use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use stanchion_messaging::StoreError;
use uuid::Uuid;

use crate::{EventLog, Filter, LogError, LogId, Position, Recorded};

/// How far a follower of a log came: which log, where in it, and which event it saw there.
///
/// The event is what makes a checkpoint checkable: a log that was restored from an older backup, or that lost its
/// tail in a failover, has another event at that position, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log it is a place in.
    pub log: LogId,
    /// The last entry dealt with; [`Position::START`] before the first.
    pub position: Position,
    /// The event at that position; `None` at the start, and in rows written before events were remembered.
    pub event: Option<Uuid>,
}

/// Why a checkpoint cannot be gone on from. Nothing is started over in silence: an operator decides.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CheckpointError {
    /// The log could not be asked.
    #[error(transparent)]
    Log(#[from] LogError),
    /// It is a place in another log: a new store, or somebody else's.
    #[error("the checkpoint is in log {checkpoint}, but the log here is {log}")]
    OtherLog {
        /// The checkpoint's log.
        checkpoint: LogId,
        /// The log at hand.
        log: LogId,
    },
    /// The log ends before it: it went back, by a restore or a failover.
    #[error("the log went back: the checkpoint is at {position}, the log ends at {head}")]
    WentBack {
        /// The checkpoint's place.
        position: Position,
        /// The log's last position.
        head: Position,
    },
    /// Another event is there: the log went back and grew again.
    #[error("the log went back: at {position} it had event {expected}, now it has {found}")]
    OtherEvent {
        /// The checkpoint's place.
        position: Position,
        /// The event seen there.
        expected: Uuid,
        /// The event that is there.
        found: Uuid,
    },
}

impl Checkpoint {
    /// Before the first entry of a log.
    #[must_use]
    pub fn start(log: LogId) -> Self {
        Self {
            log,
            position: Position::START,
            event: None,
        }
    }

    /// After `entry` of `log`.
    #[must_use]
    pub fn after(log: LogId, entry: &Recorded) -> Self {
        Self {
            log,
            position: entry.position,
            event: Some(entry.id),
        }
    }

    /// Checks that `log` is the log it is in, and still has the same event there.
    ///
    /// # Errors
    /// [`CheckpointError`]: which of them does not hold.
    pub async fn verify(&self, log: &dyn EventLog) -> Result<(), CheckpointError> {
        if self.log != log.id() {
            return Err(CheckpointError::OtherLog {
                checkpoint: self.log,
                log: log.id(),
            });
        }
        if self.position == Position::START {
            return Ok(());
        }
        let before = Position(self.position.0 - 1);
        let found = log.read(before, &Filter::all(), 1).await?;
        match found.first() {
            Some(entry) => self.compare(entry),
            None => Err(CheckpointError::WentBack {
                position: self.position,
                head: log.head().await?,
            }),
        }
    }

    pub(crate) fn compare(&self, entry: &Recorded) -> Result<(), CheckpointError> {
        if entry.position != self.position {
            return Err(LogError::Damaged {
                position: self.position,
                reason: "the entry is missing, later ones are there".into(),
            }
            .into());
        }
        match self.event {
            Some(expected) if expected != entry.id => Err(CheckpointError::OtherEvent {
                position: self.position,
                expected,
                found: entry.id,
            }),
            _ => Ok(()),
        }
    }
}

/// Where subscriptions keep their checkpoints.
#[async_trait]
pub trait CheckpointStore: Send + Sync {
    /// Every checkpoint of that name: none before the first, several if it ever followed several logs.
    async fn load(&self, name: &str) -> Result<Vec<Checkpoint>, StoreError>;

    /// Replaces the checkpoint of that name and log; durable when it returns.
    async fn save(&self, name: &str, checkpoint: &Checkpoint) -> Result<(), StoreError>;

    /// Takes every checkpoint of that name away; durable when it returns.
    async fn remove(&self, name: &str) -> Result<(), StoreError>;
}

/// Checkpoints in memory, for tests; nothing survives the process.
#[derive(Default)]
pub struct MemoryCheckpoints(Mutex<HashMap<(String, LogId), Checkpoint>>);

#[async_trait]
impl CheckpointStore for MemoryCheckpoints {
    async fn load(&self, name: &str) -> Result<Vec<Checkpoint>, StoreError> {
        let kept = self.0.lock();
        let own = kept.iter().filter(|((of, _), _)| of == name);
        Ok(own.map(|(_, checkpoint)| *checkpoint).collect())
    }

    async fn save(&self, name: &str, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let key = (name.to_owned(), checkpoint.log);
        self.0.lock().insert(key, *checkpoint);
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.0.lock().retain(|(of, _), _| of != name);
        Ok(())
    }
}

/// The checkpoint to go on from in `log`, out of all that are kept under one name.
///
/// # Errors
/// [`CheckpointError::OtherLog`]: there is one, but of another log only.
pub fn own_checkpoint(
    kept: &[Checkpoint],
    log: LogId,
) -> Result<Option<Checkpoint>, CheckpointError> {
    if let Some(own) = kept.iter().find(|checkpoint| checkpoint.log == log) {
        return Ok(Some(*own));
    }
    match kept
        .iter()
        .find(|checkpoint| checkpoint.position > Position::START)
    {
        Some(foreign) => Err(CheckpointError::OtherLog {
            checkpoint: foreign.log,
            log,
        }),
        None => Ok(None),
    }
}
