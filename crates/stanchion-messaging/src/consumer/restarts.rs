//! What ends its process at its first attempt, where the consumer reads the log itself.
//!
//! No broker counts deliveries there, and to count each first attempt before it begins would cost each message a commit. So a
//! process counts once that it begins, and after which place, and takes that back where it ends in good order. Where several have
//! begun after the same one, and nobody comes any further, what comes next is put aside before it is tried: retries are counted
//! before they begin.

use std::time::Duration;

use tracing::warn;

use super::Consumer;
use crate::size::ENTRIES_MAX;
use crate::{LogId, Message, Position, StoreError};

/// So many processes begin after one place as if nothing were wrong with what comes next.
const BEGUN_MAX: u32 = 3;

/// How often it is looked then whether somebody comes further, and how long before each look.
const LOOKS: u32 = 20;
const BEFORE_LOOK: Duration = Duration::from_millis(100);

/// A log that this process has begun to read by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Begun {
    /// After which place.
    after: Position,
    /// So many more may have been in hand when a process ended.
    left: usize,
    /// Suspects were put aside first up to here.
    through: Position,
}

impl Consumer {
    /// Whether this process has not counted yet that it begins with that log.
    pub(super) fn is_new_to(&self, log: LogId) -> bool {
        !self.begun.lock().contains_key(&log)
    }

    /// Counts that this process begins with what comes after that place.
    pub(super) async fn begin_after(&self, log: LogId, after: Position) -> Result<(), String> {
        let mut begun = Begun {
            after,
            ..Begun::default()
        };
        // Before it is counted: a stop meanwhile takes it back.
        self.begun.lock().insert(log, begun);
        match self.is_stuck(log, after).await {
            Ok(true) => begun.left = self.limits.messages_max.saturating_add(ENTRIES_MAX),
            Ok(false) => {}
            Err(error) => {
                self.begun.lock().remove(&log);
                return Err(error.to_string());
            }
        }
        self.begun.lock().insert(log, begun);
        Ok(())
    }

    /// Whether several processes have begun after that place, and nobody comes any further.
    async fn is_stuck(&self, log: LogId, after: Position) -> Result<bool, StoreError> {
        if self.store.begins(self.name, log, after).await? < BEGUN_MAX {
            return Ok(false);
        }
        // They may live: several that wait at the end of a log begin with the same message.
        for _ in 0..LOOKS {
            tokio::time::sleep(BEFORE_LOOK).await;
            let progress = self.store.progress(self.name).await?;
            let place = progress.get(&log);
            if place.is_some_and(|place| place.position > after) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes back what this process has counted: it ends in good order, and not by what it had in hand.
    pub(super) async fn end_in_order(&self) -> Result<(), String> {
        let begun = std::mem::take(&mut *self.begun.lock());
        for (log, begun) in begun {
            let ended = self.store.ends(self.name, log, begun.after).await;
            ended.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The keys of what was read next from that log and is put aside first. What came into the log since this process is there
    /// was in nobody's hand who has ended before.
    pub(super) fn suspects(&self, log: LogId, messages: &[Message]) -> Vec<String> {
        let mut all = self.begun.lock();
        let Some(begun) = all.get_mut(&log).filter(|begun| begun.left > 0) else {
            return Vec::new();
        };
        begun.left = begun.left.saturating_sub(messages.len());
        let old = messages.iter().filter(|it| it.at <= self.made_at);
        let old: Vec<&Message> = old.collect();
        let Some(last) = old.last() else {
            return Vec::new();
        };
        if begun.through == Position::START {
            warn!(
                consumer = self.name,
                after = %begun.after,
                "processes ended again and again before they came any further: what comes next is counted before it is tried"
            );
        }
        begun.through = begun.through.max(last.origin.position);
        old.iter().map(|message| message.key.clone()).collect()
    }

    /// Whether it was put aside for that reason, and not for an earlier one of its key.
    pub(super) fn is_suspect(&self, message: &Message) -> bool {
        let all = self.begun.lock();
        let begun = all.get(&message.origin.log);
        begun.is_some_and(|begun| message.origin.position <= begun.through)
    }
}
