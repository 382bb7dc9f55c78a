//! What ends its process at its first attempt, where the consumer reads the log itself.
//!
//! No broker counts deliveries there, and to count each first attempt before it begins would cost each message a commit. So a
//! process counts once that it begins, and after which place. Where several have begun after the same one, and none of them came any
//! further, what comes next is put aside before it is tried: retries are counted before they begin.

use tracing::warn;

use super::Consumer;
use crate::size::ENTRIES_MAX;
use crate::{LogId, Message, Position};

/// So many processes begin after one place as if nothing were wrong with what comes next.
const BEGUN_MAX: u32 = 3;

/// What is put aside first of a log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Suspects {
    /// So many more may have been in hand when a process ended.
    left: usize,
    /// Everything up to here was put aside first.
    through: Position,
}

impl Consumer {
    /// Whether this process has not counted yet that it begins with that log.
    pub(super) fn is_new_to(&self, log: LogId) -> bool {
        !self.suspects.lock().contains_key(&log)
    }

    /// Counts that this process begins with what comes after that place.
    pub(super) async fn begin_after(&self, log: LogId, after: Position) -> Result<(), String> {
        let before = self.store.begins(self.name, log, after).await;
        let before = before.map_err(|error| error.to_string())?;
        let mut suspects = Suspects::default();
        if before >= BEGUN_MAX {
            suspects.left = self.limits.messages_max.saturating_add(ENTRIES_MAX);
            warn!(
                consumer = self.name,
                %after,
                before,
                "processes ended again and again before they came any further: what comes next is counted before it is tried"
            );
        }
        self.suspects.lock().insert(log, suspects);
        Ok(())
    }

    /// Whether what was read next from that log is put aside first.
    pub(super) fn suspects(&self, log: LogId, messages: &[Message]) -> bool {
        let mut all = self.suspects.lock();
        let suspects = all.get_mut(&log).filter(|suspects| suspects.left > 0);
        let (Some(suspects), Some(last)) = (suspects, messages.last()) else {
            return false;
        };
        suspects.left = suspects.left.saturating_sub(messages.len());
        suspects.through = suspects.through.max(last.origin.position);
        true
    }

    /// Whether it was put aside for that reason, and not for an earlier one of its key.
    pub(super) fn is_suspect(&self, message: &Message) -> bool {
        let all = self.suspects.lock();
        let suspects = all.get(&message.origin.log);
        suspects.is_some_and(|suspects| message.origin.position <= suspects.through)
    }
}
