//! Where a test has the shop die, as by `kill -9`: at a named step of fulfilment, to the commit exact. In debug builds only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use stanchion::eventsourcing::{
    Append, AppendError, Appended, DueTimer, EventLog, Filter, LogError, LogId, Position, Recorded,
    StreamId, Version,
};
use tokio::sync::watch;

/// `before 3`: before the third append to a fulfilment is committed. `after 3`: when it is, and nobody knows yet.
const DIE: &str = "SHOP_DIE_AT_FULFILMENT";

/// The log as it is, or one in which the process dies where the environment says so.
pub(crate) fn in_log(log: Arc<dyn EventLog>) -> Arc<dyn EventLog> {
    let wish = std::env::var(DIE).ok();
    let wish = wish.as_deref().and_then(|wish| wish.split_once(' '));
    match wish.and_then(|(when, which)| Some((when == "after", which.parse().ok()?))) {
        Some((after, which)) => Arc::new(Deadly {
            log,
            after,
            which,
            seen: AtomicU64::new(0),
        }),
        None => log,
    }
}

struct Deadly {
    log: Arc<dyn EventLog>,
    after: bool,
    which: u64,
    seen: AtomicU64,
}

/// Nothing is flushed, nothing said goodbye: what the disk has not is gone.
fn die() -> ! {
    std::process::abort()
}

#[async_trait]
impl EventLog for Deadly {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        // What only notes that a message was dealt with is a step as well.
        let deadly = self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.which;
        if deadly && !self.after {
            die();
        }
        let appended = self.log.append(append).await;
        if deadly {
            die();
        }
        appended
    }

    fn id(&self) -> LogId {
        self.log.id()
    }

    fn incarnation(&self) -> u64 {
        self.log.incarnation()
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        self.log.read_stream(stream, from, limit).await
    }

    async fn read_stream_backward(
        &self,
        stream: &StreamId,
        from: Option<Version>,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        self.log.read_stream_backward(stream, from, limit).await
    }

    async fn read(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        self.log.read(after, filter, limit).await
    }

    async fn head(&self) -> Result<Position, LogError> {
        self.log.head().await
    }

    fn changes(&self) -> watch::Receiver<Position> {
        self.log.changes()
    }

    async fn due_timers(
        &self,
        category: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueTimer>, LogError> {
        self.log.due_timers(category, now, limit).await
    }

    async fn clear_timer(&self, timer: &DueTimer) -> Result<(), LogError> {
        self.log.clear_timer(timer).await
    }
}
