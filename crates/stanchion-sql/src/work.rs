use async_trait::async_trait;
use stanchion_eventsourcing::{
    Append, AppendError, Expected, Metadata, NewEvent, Position, StreamId,
};
use stanchion_messaging::InboxEntry;

use crate::log::unit;
use crate::{Db, Params, Query, Row, SqlError, Tx};

/// Rows, log entries and an inbox key that commit together; dropped, nothing happened.
///
/// For contexts that keep state. Rows come first; what is recorded goes to the log as the last thing before
/// COMMIT, so that the log's lock is held briefly. High rates belong on the log itself, which shares its
/// transactions between callers; a unit of work never does.
///
/// What it records is applied to the projections that are [inline](crate::Projector::inline), in the same transaction.
///
/// Call no other service while it is open: on SQLite it may hold the only writer, for at most
/// [`crate::DatabaseSettings::writer_hold`].
#[derive(Debug)]
pub struct UnitOfWork {
    tx: Tx,
    recorded: Vec<Append>,
    inbox: Option<(InboxEntry, Metadata)>,
    /// It was given a second one, which has no place.
    settles_twice: bool,
}

/// Why a unit of work was not committed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WorkError {
    /// The database failed or a statement was refused.
    #[error(transparent)]
    Store(#[from] SqlError),
    /// The log refused: another version of a stream, a key already dealt with, a lost claim.
    #[error(transparent)]
    Log(AppendError),
}

/// A committed unit of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Where its last log entry is; `None` if it recorded nothing.
    pub position: Option<Position>,
}

impl WorkError {
    /// Whether doing the whole unit again may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Log(error) => matches!(
                error,
                AppendError::Conflict { .. } | AppendError::Unavailable(_)
            ),
        }
    }
}

impl UnitOfWork {
    /// Begins; nothing is sent before the first statement.
    #[must_use = "a unit of work that is dropped is rolled back"]
    pub fn begin(db: &Db) -> Self {
        Self {
            tx: db.begin(),
            recorded: Vec::new(),
            inbox: None,
            settles_twice: false,
        }
    }

    /// The transaction, for statements and the raw drivers.
    pub fn tx(&self) -> &Tx {
        &self.tx
    }

    /// Defers a statement to the next one that runs, or to the commit.
    pub fn queue(&self, sql: &str, params: Params) {
        self.tx.queue(sql, params);
    }

    /// Records events; they get their positions at the commit. Events of one stream are appended in this order, as one
    /// append: the first call's expectation counts, and its metadata is all of theirs.
    pub fn record(
        &mut self,
        stream: StreamId,
        expected: Expected,
        events: Vec<NewEvent>,
        metadata: &Metadata,
    ) {
        self.append(Append {
            stream,
            expected,
            events,
            inbox: None,
            timers: Vec::new(),
            metadata: metadata.clone(),
        });
    }

    /// Records a whole append, with its timers and inbox entry.
    pub fn append(&mut self, mut append: Append) {
        if let Some(entry) = append.inbox.take() {
            self.settle(entry, &append.metadata);
        }
        let earlier = self
            .recorded
            .iter_mut()
            .find(|earlier| earlier.stream == append.stream);
        match earlier {
            Some(earlier) => {
                earlier.events.append(&mut append.events);
                earlier.timers.append(&mut append.timers);
            }
            None => self.recorded.push(append),
        }
    }

    /// What this deals with: known already, the commit fails with [`AppendError::AlreadyHandled`]. There is one of them:
    /// with a second one, also of an [`Append`], the commit is refused as a wrong use.
    pub fn settle(&mut self, entry: InboxEntry, metadata: &Metadata) {
        let known = self.inbox.as_ref().map(|(known, _)| known);
        self.settles_twice |= known.is_some_and(|known| known.key.as_str() != entry.key.as_str());
        self.inbox = Some((entry, metadata.clone()));
    }

    /// Commits everything, or nothing. Repeating a unit with the same event ids after an unknown outcome is success.
    ///
    /// # Errors
    /// See [`WorkError`].
    pub async fn commit(mut self) -> Result<Committed, WorkError> {
        if self.settles_twice {
            let twice = "a unit of work settles one inbox entry, and was given several";
            return Err(SqlError::usage(twice).into());
        }
        self.attach_inbox();
        let Self { tx, recorded, .. } = self;
        if recorded.is_empty() {
            tx.commit().await?;
            return Ok(Committed { position: None });
        }
        let appended = unit::commit(tx, recorded).await?;
        let position = appended.map(|appended| appended.position);
        Ok(Committed { position })
    }

    /// The key stands with the last append, so that its position covers the whole unit.
    fn attach_inbox(&mut self) {
        let Some((entry, metadata)) = self.inbox.take() else {
            return;
        };
        if self.recorded.is_empty() {
            self.recorded.push(Append {
                stream: StreamId::new("inbox", "unit-of-work"),
                expected: Expected::Any,
                events: Vec::new(),
                inbox: None,
                timers: Vec::new(),
                metadata,
            });
        }
        if let Some(last) = self.recorded.last_mut() {
            last.inbox = Some(entry);
        }
    }
}

#[async_trait]
impl Query for UnitOfWork {
    async fn query(&self, sql: &str, params: Params) -> Result<Vec<Row>, SqlError> {
        self.tx.query(sql, params).await
    }

    async fn opt(&self, sql: &str, params: Params) -> Result<Option<Row>, SqlError> {
        self.tx.opt(sql, params).await
    }

    async fn exec(&self, sql: &str, params: Params) -> Result<u64, SqlError> {
        self.tx.exec(sql, params).await
    }
}
