mod altered;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    Append, AppendError, Appended, DueTimer, Filter, LogId, Position, Recorded, StreamId, Version,
};

pub use altered::{Altered, Alters};

/// Events that a log without a better way reads at once while it looks for a stream's end.
const PAGE: usize = 1_000;

/// The log could not be read, or what was read is not whole.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The store cannot be reached; trying again later may help.
    #[error("the event log is unavailable: {0}")]
    Unavailable(String),
    /// A row fails its checksum or cannot be read back: an operator must look.
    #[error("the event log is damaged at position {position}: {reason}")]
    Damaged {
        /// Where.
        position: Position,
        /// What is wrong.
        reason: String,
    },
}

/// A context's append-only record: the source of truth and the outbox.
///
/// An acknowledged append is durable and there exactly once; an unacknowledged one is wholly there
/// or wholly not. Versions in a stream are 0, 1, 2 …, positions in the log 1, 2, 3 … in commit
/// order, both without a hole, and no reader sees a position before all earlier ones.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// The log's identity.
    fn id(&self) -> LogId;

    /// A number that changes whenever the log behind this may have become shorter than it was: a connection was made
    /// anew, perhaps to a server that took over without the last events. Whoever goes on from a place in the log
    /// verifies it then. 0 for ever where that cannot be.
    fn incarnation(&self) -> u64 {
        0
    }

    /// Appends, all or nothing. Appending the same event ids again is success with the same answer; some of them with
    /// others is [`AppendError::Invalid`], as is an id that another stream has.
    /// Once queued it runs to its recorded answer even if the caller goes away.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// A stream's events from version `from` on, oldest first, at most `limit`.
    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError>;

    /// A stream's events from version `from` backwards (`None`: from the last one), newest first, at most `limit`.
    ///
    /// A log that does not say how reads the stream forward to its end for it.
    async fn read_stream_backward(
        &self,
        stream: &StreamId,
        from: Option<Version>,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        let mut last = std::collections::VecDeque::new();
        let mut next = Version(0);
        loop {
            let page = self.read_stream(stream, next, PAGE).await?;
            let full = page.len() == PAGE;
            let wanted = page
                .into_iter()
                .take_while(|event| from.is_none_or(|from| event.version <= from));
            for event in wanted {
                next = Version(event.version.0 + 1);
                last.push_front(event);
                last.truncate(limit);
            }
            if !full || from.is_some_and(|from| next > from) {
                return Ok(last.into());
            }
        }
    }

    /// Entries after `after`, in order, at most `limit` that pass the filter. A page with fewer of them reaches at
    /// least as far as every position that [`EventLog::head`] or [`EventLog::changes`] told before.
    async fn read(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError>;

    /// The last position, [`Position::START`] for an empty log.
    async fn head(&self) -> Result<Position, LogError>;

    /// Changes when the log grew: a hint, correctness never depends on it.
    fn changes(&self) -> watch::Receiver<Position>;

    /// Timers of `category` due at `now`, earliest first, at most `limit`.
    async fn due_timers(
        &self,
        category: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueTimer>, LogError>;

    /// Deletes a timer that fired without an event, unless it was set anew meanwhile.
    async fn clear_timer(&self, timer: &DueTimer) -> Result<(), LogError>;
}
