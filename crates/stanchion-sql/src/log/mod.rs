//! The event log on SQLite and PostgreSQL: commit-ordered, gapless, one transaction for many appends.

mod alone;
mod committer;
mod durability;
mod embedded;
mod known;
mod names;
mod news;
mod packets;
mod plan;
mod queue;
mod read;
mod ready;
mod rows;
pub(crate) mod schema;
mod state;
mod tail;
pub(crate) mod unit;
mod writes;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use stanchion_eventsourcing::{
    Append, AppendError, Appended, DueTimer, EventLog, Filter, LogError, LogId, Position, Recorded,
    StreamId, Version,
};
use stanchion_runtime::task;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use self::alone::Turns;
use self::committer::Committer;
use self::news::News;
use self::queue::{How, Job, Queue};
use self::read::Direction;
pub(crate) use self::read::{ROWS_MAX, log as entries};
use self::ready::Ready;
pub(crate) use self::rows::{checksum, sum};
pub(crate) use self::state::{LogCounts, LogMeters, LogState};
use crate::{Db, Row, SqlError, params};

/// A module's event log in its store.
///
/// Appends of this process share transactions; readers see positions 1, 2, 3 … without a hole. An
/// acknowledged append survives a crash; an append whose caller goes away runs to its end.
///
/// On PostgreSQL it has a connection of its own, besides the pool's, and the process one for each database on which
/// it is told of other processes' appends. A broken one is made anew: appends wait meanwhile, for at most
/// [`crate::DatabaseSettings::append_wait`], and those that were being committed are looked up by their events' ids.
///
/// An append that an [inline projection](crate::Projector::inline) wants shares no transaction: it goes through the pool,
/// at most two at a time, and at most 4,096 wait.
#[derive(Clone)]
pub struct SqlLog {
    db: Db,
    id: LogId,
    desk: Arc<Desk>,
}

/// What ends with the log's last clone.
struct Desk {
    queue: Arc<Queue>,
    turns: Turns,
    _news: Option<News>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl SqlLog {
    /// Opens the log of a store whose `stanchion` migrations are applied; makes its identity once.
    ///
    /// # Errors
    /// The store cannot be reached. [`SqlError::Unavailable`]: the server could lose what it acknowledges; see
    /// [`crate::DatabaseSettings::allow_unsafe_durability`].
    pub async fn open(db: Db) -> Result<Self, SqlError> {
        let id = identity(&db).await?;
        let head = read::head(&db).await?;
        db.log().grew_to(head);
        let queue = Arc::new(Queue::default());
        let committer = Committer::open(db.clone(), Arc::clone(&queue), db.append_wait()).await?;
        task::spawn("log-committer", committer.run());
        let news = News::of(&db, id);
        let _ = db.log().id.set(id);
        let desk = Arc::new(Desk {
            queue,
            turns: Turns::default(),
            _news: news,
        });
        Ok(Self { db, id, desk })
    }

    async fn read_in(
        &self,
        stream: &StreamId,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        let age = self.db.log().known.lock().age();
        let found = read::stream(&self.db, stream, &direction, limit).await?;
        if let Some(last) = found.iter().map(|event| event.version.0).max() {
            let mut known = self.db.log().known.lock();
            known.learn(age, stream.key(), last);
        }
        Ok(found)
    }
}

#[async_trait]
impl EventLog for SqlLog {
    fn id(&self) -> LogId {
        self.id
    }

    fn incarnation(&self) -> u64 {
        self.db.incarnation()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let wanted = self.db.log().inline.wanting(std::slice::from_ref(&append));
        if !wanted.is_empty() {
            append.validate()?;
            return self.desk.turns.append(&self.db, append).await;
        }
        let ready = Ready::of(append)?;
        let (answer, answered) = oneshot::channel();
        let queued = self.desk.queue.push(Job {
            ready,
            answer,
            since: Instant::now(),
            how: How::Free,
            collisions: 0,
            in_doubt: None,
        });
        if let Err(refused) = queued {
            LogCounts::add(&self.db.log().counts.shed, 1);
            return Err(refused);
        }
        answered.await.unwrap_or(Err(AppendError::Unknown))
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        self.read_in(stream, Direction::Forward(from), limit).await
    }

    async fn read_stream_backward(
        &self,
        stream: &StreamId,
        from: Option<Version>,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        self.read_in(stream, Direction::Backward(from), limit).await
    }

    async fn read(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        let log = self.db.log();
        let told = *log.head().borrow();
        let handed_over = {
            let mut tail = log.tail.lock();
            tail.belong_to(self.db.incarnation());
            tail.read(after, told, filter, limit)
        };
        if let Some(entries) = handed_over {
            LogCounts::add(&log.counts.handed_over, 1);
            return Ok(entries);
        }
        let entries = read::log(&self.db, after, filter, limit).await?;
        if let Some(last) = entries.last() {
            log.grew_to(last.position);
        }
        Ok(entries)
    }

    async fn head(&self) -> Result<Position, LogError> {
        let head = read::head(&self.db).await.map_err(read::unavailable)?;
        // Whoever asked knows it now: no page may end before it as if there were no more.
        self.db.log().grew_to(head);
        Ok(head)
    }

    fn changes(&self) -> watch::Receiver<Position> {
        self.db.log().head().subscribe()
    }

    async fn due_timers(
        &self,
        category: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueTimer>, LogError> {
        let sql = "select s.name, t.name, t.due_at from timer t join stream s on s.stream = t.stream \
                   where t.category = $1 and t.due_at <= $2 order by t.due_at limit $3";
        let limit = limit.min(read::ROWS_MAX) as i64;
        let rows = self.db.query(sql, params![category, now, limit]).await;
        let due = |row: &Row| {
            Ok(DueTimer {
                stream: StreamId::new(category, row.get::<String>(0)?),
                name: row.get(1)?,
                due_at: row.get(2)?,
            })
        };
        rows.map_err(read::unavailable)?
            .iter()
            .map(due)
            .collect::<Result<_, _>>()
            .map_err(read::unavailable)
    }

    async fn clear_timer(&self, timer: &DueTimer) -> Result<(), LogError> {
        let sql = "delete from timer where stream = $1 and name = $2 and due_at = $3";
        let params = params![timer.stream.key(), timer.name.as_str(), timer.due_at];
        let cleared = self.db.exec(sql, params).await;
        cleared.map(drop).map_err(read::unavailable)
    }
}

/// The log's identity, made where it has none yet.
pub(crate) async fn identity(db: &Db) -> Result<LogId, SqlError> {
    let made = stanchion_runtime::id::new_v7();
    let at = stanchion_runtime::clock::now();
    let insert =
        "insert into feed (one, id, created_at) values (1, $1, $2) on conflict (one) do nothing";
    if let Some(row) = db.opt("select id from feed", params![]).await? {
        return row.get(0);
    }
    db.exec(insert, params![made, at]).await?;
    db.one("select id from feed", params![]).await?.get(0)
}
