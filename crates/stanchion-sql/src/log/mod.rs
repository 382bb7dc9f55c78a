//! The event log on SQLite and PostgreSQL: commit-ordered, gapless, one transaction for many appends.

mod backend;
mod committer;
mod plan;
mod rows;
pub(crate) mod schema;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use stanchion_eventsourcing::{
    Append, AppendError, Appended, DueTimer, EventLog, Filter, LogError, LogId, Position, Recorded,
    StreamId, Version,
};
use stanchion_runtime::task;
use tokio::sync::{mpsc, oneshot, watch};

use self::backend::Backend;
use self::committer::Job;
use crate::{Db, Engine, Row, SqlError, params};

pub(crate) use self::backend::plan_in;

/// Appends that wait for the committer; beyond it they are shed.
const QUEUE_MAX: usize = 4_096;

/// How late a reader may learn of entries that another process appended.
const POLL: Duration = Duration::from_millis(250);

/// The most rows one read returns, whatever is asked.
const READ_MAX: usize = 10_000;

/// A module's event log in its store.
///
/// Appends of this process share transactions; readers see positions 1, 2, 3 … without a hole. An
/// acknowledged append survives a crash; an append whose caller goes away runs to its end.
#[derive(Clone)]
pub struct SqlLog {
    db: Db,
    id: LogId,
    queue: mpsc::Sender<Job>,
    // Ends with the log's last clone.
    _poll: Option<Arc<Poll>>,
}

impl SqlLog {
    /// Opens the log of a store whose `stanchion` migrations are applied; makes its identity once.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn open(db: Db) -> Result<Self, SqlError> {
        let id = identity(&db).await?;
        let head = head_of(&db).await?;
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        db.log_grew_to(head);
        let backend = Backend { db: db.clone() };
        stanchion_runtime::task::spawn("log-committer", committer::run(backend, jobs));
        // SQLite has one process; PostgreSQL's log may grow by another one.
        let poll = (db.engine() == Engine::Postgres).then(|| Arc::new(Poll::start(db.clone())));
        Ok(Self {
            db,
            id,
            queue,
            _poll: poll,
        })
    }

    async fn rows(&self, sql: &str, params: crate::Params) -> Result<Vec<Recorded>, LogError> {
        let rows = self.db.query(sql, params).await.map_err(unavailable)?;
        rows.iter().map(rows::recorded).collect()
    }
}

/// Looks at the log's head for local readers.
struct Poll(task::Task<()>);

impl Poll {
    fn start(db: Db) -> Self {
        Self(task::spawn("log-poll", async move {
            loop {
                tokio::time::sleep(POLL).await;
                // Nobody to tell, nothing to ask.
                if db.log_head().receiver_count() > 0
                    && let Ok(head) = head_of(&db).await
                {
                    db.log_grew_to(head);
                }
            }
        }))
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl EventLog for SqlLog {
    fn id(&self) -> LogId {
        self.id
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        append.validate()?;
        let (answer, answered) = oneshot::channel();
        let queued = self.queue.try_send(Job { append, answer });
        queued.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AppendError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => AppendError::Unavailable("it is closed".into()),
        })?;
        answered.await.unwrap_or(Err(AppendError::Unknown))
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        let sql = format!(
            "select {} from event e join stream s on s.stream = e.stream \
             where e.stream = $1 and e.version >= $2 order by e.version limit $3",
            rows::COLUMNS
        );
        let limit = limit.min(READ_MAX) as i64;
        self.rows(&sql, params![stream.key(), from, limit]).await
    }

    async fn read(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        let mut params = params![after, limit.min(READ_MAX) as i64];
        let mut wanted = String::new();
        if !filter.categories.is_empty() {
            let first = params.len() + 1;
            params.extend(filter.categories.iter().map(|name| name.as_str().into()));
            let list: Vec<String> = (first..=params.len()).map(|n| format!("${n}")).collect();
            wanted = format!("and e.category in ({})", list.join(", "));
        }
        let sql = format!(
            "select {} from event e join stream s on s.stream = e.stream \
             where e.position > $1 {wanted} order by e.position limit $2",
            rows::COLUMNS
        );
        self.rows(&sql, params).await
    }

    async fn head(&self) -> Result<Position, LogError> {
        head_of(&self.db).await.map_err(unavailable)
    }

    fn changes(&self) -> watch::Receiver<Position> {
        self.db.log_head().subscribe()
    }

    async fn due_timers(
        &self,
        category: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueTimer>, LogError> {
        let sql = "select s.name, t.name, t.due_at from timer t join stream s on s.stream = t.stream \
                   where t.category = $1 and t.due_at <= $2 order by t.due_at limit $3";
        let limit = limit.min(READ_MAX) as i64;
        let rows = self.db.query(sql, params![category, now, limit]).await;
        let due = |row: &Row| {
            Ok(DueTimer {
                stream: StreamId::new(category, row.get::<String>(0)?),
                name: row.get(1)?,
                due_at: row.get(2)?,
            })
        };
        rows.map_err(unavailable)?
            .iter()
            .map(due)
            .collect::<Result<_, _>>()
            .map_err(unavailable)
    }

    async fn clear_timer(&self, timer: &DueTimer) -> Result<(), LogError> {
        let sql = "delete from timer where stream = $1 and name = $2 and due_at = $3";
        let params = params![timer.stream.key(), timer.name.as_str(), timer.due_at];
        self.db
            .exec(sql, params)
            .await
            .map(drop)
            .map_err(unavailable)
    }
}

async fn identity(db: &Db) -> Result<LogId, SqlError> {
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

async fn head_of(db: &Db) -> Result<Position, SqlError> {
    db.one("select coalesce(max(position), 0) from event", params![])
        .await?
        .get(0)
}

fn unavailable(error: SqlError) -> LogError {
    LogError::Unavailable(error.to_string())
}
