use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::gauge::Gauge;
use stanchion_eventsourcing::{
    EventLog, LogError, Position, Projection, ProjectionError, Recorded,
};
use stanchion_telemetry::Metrics;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{Db, SqlError, Tx, params};

/// The fewest and the most entries in one batch: small while it keeps up, large while it catches up.
const BATCH_MIN: usize = 100;
const BATCH_MAX: usize = 10_000;

/// Entries in one batch of [`Projector::catch_up`].
const CATCH_UP: usize = 1_000;

/// How long the log's hints are trusted before it looks by itself.
const POLL: Duration = Duration::from_millis(250);

/// How long it waits after its store failed.
const RECOVER: Duration = Duration::from_millis(500);

/// Keeps a projection's rows up to date with a log; rows and checkpoint commit together.
///
/// Every entry is applied exactly once and in order, also over a crash. An entry that cannot be
/// applied halts the projection: it says so and stays where it is until it is restarted.
#[derive(Clone)]
pub struct Projector {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    module: String,
    projection: &'static str,
}

struct Inner {
    db: Db,
    log: Arc<dyn EventLog>,
    projection: Box<dyn Projection<Tx>>,
    at: watch::Sender<Position>,
    halted: parking_lot::Mutex<Option<String>>,
    behind: OnceLock<Gauge>,
}

/// Why a projection did not move on.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// The log or the store is out; trying again may help.
    #[error("the projection's log or store is out: {0}")]
    Unavailable(String),
    /// An entry cannot be applied.
    #[error("halted at position {position}: {reason}")]
    Poison {
        /// Which entry.
        position: Position,
        /// What is wrong with it.
        reason: String,
    },
}

/// The projection did not come so far in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the projection is at {at}, not yet at {wanted}")]
pub struct Behind {
    /// Where it is.
    pub at: Position,
    /// Where it should be.
    pub wanted: Position,
}

impl Projector {
    /// A projector of `projection` over `log`, with its rows in `db`.
    pub fn new(db: Db, log: Arc<dyn EventLog>, projection: impl Projection<Tx> + 'static) -> Self {
        let inner = Inner {
            db,
            log,
            projection: Box::new(projection),
            at: watch::Sender::new(Position::START),
            halted: parking_lot::Mutex::new(None),
            behind: OnceLock::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Puts how many entries it is behind into the gauge `stanchion_projection_lag`.
    #[must_use]
    pub fn with_metrics(self, metrics: &Metrics) -> Self {
        let help = "Entries of the log that are not in the rows yet";
        let gauges = metrics.gauge_family::<Labels>("stanchion_projection_lag", help);
        let labels = Labels {
            module: self.inner.db.module().to_owned(),
            projection: self.name(),
        };
        let _ = self.inner.behind.set(gauges.get_or_create(&labels).clone());
        self
    }

    /// The projection's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.inner.projection.name()
    }

    /// How far it came, as far as this process knows.
    #[must_use]
    pub fn position(&self) -> Position {
        *self.inner.at.borrow()
    }

    /// Why it halted, if it did.
    #[must_use]
    pub fn halted(&self) -> Option<String> {
        self.inner.halted.lock().clone()
    }

    /// Entries of the log that are not in the rows yet.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn lag(&self) -> Result<u64, LogError> {
        let head = self.inner.log.head().await?;
        Ok(u64::try_from(head.0 - self.position().0).unwrap_or(0))
    }

    /// Waits until the rows include the entry at `position`.
    ///
    /// # Errors
    /// [`Behind`], when that takes longer than until `deadline`.
    pub async fn wait_for(&self, position: Position, deadline: Instant) -> Result<(), Behind> {
        let mut at = self.inner.at.subscribe();
        let reached = tokio::time::timeout_at(deadline, at.wait_for(|at| *at >= position)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Behind {
                at: self.position(),
                wanted: position,
            }),
        }
    }

    /// Follows the log until told to stop; a batch at hand is finished first.
    pub async fn run(self, stop: CancellationToken) {
        let mut changes = self.inner.log.changes();
        let mut batch = BATCH_MIN;
        while !stop.is_cancelled() {
            changes.borrow_and_update();
            match self.step(batch).await {
                Ok(0) => {
                    batch = BATCH_MIN;
                    tokio::select! {
                        () = stop.cancelled() => {}
                        _ = changes.changed() => {}
                        () = tokio::time::sleep(POLL) => {}
                    }
                }
                Ok(read) if read == batch => batch = (batch * 4).min(BATCH_MAX),
                Ok(_) => batch = BATCH_MIN,
                Err(reason) => {
                    // A batch that took too long is tried again in smaller steps.
                    batch = BATCH_MIN;
                    self.after(&reason, &stop).await;
                }
            }
        }
        info!(projection = self.name(), at = %self.position(), "projection stopped");
    }

    /// Applies what there is until the rows are at the log's head: for tests and first starts.
    ///
    /// # Errors
    /// See [`ProjectorError`].
    pub async fn catch_up(&self) -> Result<Position, ProjectorError> {
        while self.step(CATCH_UP).await? > 0 {}
        Ok(self.position())
    }

    /// Empties the rows and replays the whole log into them.
    ///
    /// # Errors
    /// See [`ProjectorError`].
    pub async fn rebuild(&self) -> Result<Position, ProjectorError> {
        let mut tx = self.inner.db.begin();
        self.inner
            .projection
            .reset(&mut tx)
            .await
            .map_err(|e| poison(Position::START, e))?;
        let forget = "delete from checkpoint where name = $1";
        tx.queue(forget, params![self.checkpoint()]);
        tx.commit().await.map_err(store)?;
        self.inner.at.send_replace(Position::START);
        self.catch_up().await
    }

    async fn after(&self, reason: &ProjectorError, stop: &CancellationToken) {
        if let ProjectorError::Poison { .. } = reason {
            error!(projection = self.name(), %reason, "projection halted");
            *self.inner.halted.lock() = Some(reason.to_string());
            return stop.cancelled().await;
        }
        warn!(projection = self.name(), %reason, "projection waits");
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(RECOVER) => {}
        }
    }

    /// Applies one batch; how many entries of the log it looked at.
    async fn step(&self, limit: usize) -> Result<usize, ProjectorError> {
        let from = self.stored().await.map_err(store)?;
        self.publish(from);
        // The head is asked first: entries that do not pass the filter still move the checkpoint.
        let head = self.inner.log.head().await.map_err(log)?;
        if let Some(behind) = self.inner.behind.get() {
            behind.set(head.0 - from.0);
        }
        if head <= from {
            return Ok(0);
        }
        let filter = self.inner.projection.filter();
        let entries = self
            .inner
            .log
            .read(from, &filter, limit)
            .await
            .map_err(log)?;
        let full = entries.len() == limit;
        let last = entries.last().map_or(from, |entry| entry.position);
        let to = if full { last } else { last.max(head) };
        match self.apply(&entries, from, to).await {
            Err(ProjectorError::Poison { .. }) if entries.len() > 1 => {
                return self.apply_one_by_one(&entries, from).await;
            }
            done => done?,
        }
        debug!(projection = self.name(), entries = entries.len(), at = %to, "applied");
        self.publish(to);
        Ok(if full { limit } else { entries.len().max(1) })
    }

    /// Comes as far as possible, so that the entry that cannot be applied is named.
    async fn apply_one_by_one(
        &self,
        entries: &[Recorded],
        from: Position,
    ) -> Result<usize, ProjectorError> {
        let mut at = from;
        for entry in entries {
            let alone = std::slice::from_ref(entry);
            self.apply(alone, at, entry.position).await?;
            at = entry.position;
            self.publish(at);
        }
        Ok(entries.len())
    }

    async fn apply(
        &self,
        entries: &[Recorded],
        from: Position,
        to: Position,
    ) -> Result<(), ProjectorError> {
        let mut tx = self.inner.db.begin();
        // First of all, so that a second projector waits here and finds the batch done, instead of
        // meeting the first one's rows and taking them for poison.
        let moved = self.move_checkpoint(&tx, from, to).await;
        moved.map_err(|error| poison(to, error.into()))?;
        for entry in entries {
            let applied = self.inner.projection.apply(&mut tx, entry).await;
            applied.map_err(|error| poison(entry.position, error))?;
        }
        // What was queued fails with the commit.
        tx.commit().await.map_err(|error| poison(to, error.into()))
    }

    /// Moves the checkpoint only from where this batch began: two projectors cannot both apply it.
    async fn move_checkpoint(&self, tx: &Tx, from: Position, to: Position) -> Result<(), SqlError> {
        let now = stanchion_runtime::clock::now();
        let (name, id) = (self.checkpoint(), self.inner.log.id());
        let moved = if from == Position::START {
            let sql = "insert into checkpoint (name, log, position, at) values ($1, $2, $3, $4) \
                       on conflict (name, log) do nothing";
            tx.exec(sql, params![name, id, to, now]).await?
        } else {
            let sql = "update checkpoint set position = $3, at = $4 \
                       where name = $1 and log = $2 and position = $5";
            tx.exec(sql, params![name, id, to, now, from]).await?
        };
        if moved == 1 {
            return Ok(());
        }
        Err(SqlError::Serialization(
            "another projector moved the checkpoint".into(),
        ))
    }

    async fn stored(&self) -> Result<Position, SqlError> {
        let sql = "select position from checkpoint where name = $1 and log = $2";
        let params = params![self.checkpoint(), self.inner.log.id()];
        let row = self.inner.db.opt(sql, params).await?;
        row.map_or(Ok(Position::START), |row| row.get(0))
    }

    fn publish(&self, at: Position) {
        self.inner.at.send_if_modified(|known| {
            let moved = *known != at;
            *known = at;
            moved
        });
    }

    fn checkpoint(&self) -> String {
        format!("projection/{}", self.name())
    }
}

fn poison(position: Position, error: ProjectionError) -> ProjectorError {
    match error {
        ProjectionError::Store(reason) => ProjectorError::Unavailable(reason),
        ProjectionError::Poison(reason) => ProjectorError::Poison { position, reason },
    }
}

fn store(error: SqlError) -> ProjectorError {
    ProjectorError::Unavailable(error.to_string())
}

fn log(error: LogError) -> ProjectorError {
    match error {
        LogError::Damaged { position, reason } => ProjectorError::Poison { position, reason },
        LogError::Unavailable(reason) => ProjectorError::Unavailable(reason),
    }
}

impl From<SqlError> for ProjectionError {
    /// What trying again may mend is the store's; a statement or a constraint that refuses the entry halts the
    /// projection: a constraint that fires is the alarm it was made for.
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Unavailable(_)
            | SqlError::InDoubt(_)
            | SqlError::Timeout(_)
            | SqlError::Serialization(_) => Self::Store(error.to_string()),
            _ => Self::Poison(error.to_string()),
        }
    }
}
