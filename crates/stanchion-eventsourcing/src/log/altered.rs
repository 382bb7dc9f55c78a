//! A log around another one.

use std::ops::Deref;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    Append, AppendError, Appended, DueTimer, EventLog, Filter, LogError, LogId, Position, Recorded,
    StreamId, Version,
};

/// What is done otherwise than by the log within: every method left out is that log's. Keep its promises.
///
/// ```
/// use stanchion_eventsourcing::{
///     Altered, Alters, Append, AppendError, Appended, EventLog, MemoryLog,
/// };
///
/// struct Full(MemoryLog);
///
/// #[async_trait::async_trait]
/// impl Alters for Full {
///     fn inner(&self) -> &dyn EventLog {
///         &self.0
///     }
///
///     async fn append(&self, _: Append) -> Result<Appended, AppendError> {
///         Err(AppendError::Overloaded)
///     }
/// }
///
/// let log: std::sync::Arc<dyn EventLog> = std::sync::Arc::new(Altered(Full(MemoryLog::new())));
/// # let _ = log;
/// ```
#[async_trait]
#[allow(
    missing_docs,
    reason = "the methods are those of `EventLog`, in its order"
)]
pub trait Alters: Send + Sync {
    /// The log within.
    fn inner(&self) -> &dyn EventLog;

    fn id(&self) -> LogId {
        self.inner().id()
    }

    fn incarnation(&self) -> u64 {
        self.inner().incarnation()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.inner().append(append).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        self.inner().read_stream(stream, from, limit).await
    }

    async fn read_stream_backward(
        &self,
        stream: &StreamId,
        from: Option<Version>,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        self.inner().read_stream_backward(stream, from, limit).await
    }

    async fn read(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        self.inner().read(after, filter, limit).await
    }

    async fn head(&self) -> Result<Position, LogError> {
        self.inner().head().await
    }

    fn changes(&self) -> watch::Receiver<Position> {
        self.inner().changes()
    }

    async fn due_timers(
        &self,
        category: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueTimer>, LogError> {
        self.inner().due_timers(category, now, limit).await
    }

    async fn clear_timer(&self, timer: &DueTimer) -> Result<(), LogError> {
        self.inner().clear_timer(timer).await
    }
}

/// A log as [`Alters`] says; also what is kept beside it.
#[derive(Clone, Debug, Default)]
pub struct Altered<T>(pub T);

impl<T> Deref for Altered<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[async_trait]
impl<T: Alters> EventLog for Altered<T> {
    fn id(&self) -> LogId {
        self.0.id()
    }

    fn incarnation(&self) -> u64 {
        self.0.incarnation()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.0.append(append).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        self.0.read_stream(stream, from, limit).await
    }

    async fn read_stream_backward(
        &self,
        stream: &StreamId,
        from: Option<Version>,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        self.0.read_stream_backward(stream, from, limit).await
    }

    async fn read(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        self.0.read(after, filter, limit).await
    }

    async fn head(&self) -> Result<Position, LogError> {
        self.0.head().await
    }

    fn changes(&self) -> watch::Receiver<Position> {
        self.0.changes()
    }

    async fn due_timers(
        &self,
        category: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueTimer>, LogError> {
        self.0.due_timers(category, now, limit).await
    }

    async fn clear_timer(&self, timer: &DueTimer) -> Result<(), LogError> {
        self.0.clear_timer(timer).await
    }
}
