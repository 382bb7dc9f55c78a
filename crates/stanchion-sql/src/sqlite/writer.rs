use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rusqlite::Connection;
use stanchion_runtime::task;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::{error, warn};

use super::connection::{self, Watch};
use super::failure::{distrusts_the_disk, sql_error};
use super::folder::Folder;
use super::session::{self, Session};
use crate::{DatabaseSettings, SqlError};

/// An idle writer copies the write-ahead log into the file after this, so that no commit has to wait for it.
const IDLE: Duration = Duration::from_millis(500);

/// A busy writer looks at the write-ahead log after so many jobs, and copies it when it is so long. Not left to
/// SQLite: its own checkpoint after a COMMIT would turn an error of the copying into one of the commit.
const JOBS_BETWEEN_LOOKS: u32 = 64;
const LOG_BYTES: u64 = 16 << 20;

/// The schema under which another file is at hand.
pub(crate) const BESIDE: &str = "beside";

/// The one thread that writes, and the bounded queue before it. Jobs run in the order they were queued.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    places: Arc<Semaphore>,
    places_max: usize,
    acquire_timeout: Duration,
    writer_hold: Duration,
}

enum Job {
    Work {
        work: Box<dyn FnOnce(&mut Pen) + Send>,
        _place: OwnedSemaphorePermit,
    },
    Stop(oneshot::Sender<()>),
}

/// The writing connection, on its thread.
pub(super) struct Pen {
    conn: Connection,
    watch: Arc<Watch>,
    statement_timeout: Duration,
    /// Why nothing is written any more.
    refusing: Option<String>,
    dirty: bool,
    jobs: u32,
    log: PathBuf,
    // Keeps the folder locked until the file is closed.
    _folder: Arc<Folder>,
}

impl Writer {
    pub(super) fn start(
        path: &Path,
        settings: &DatabaseSettings,
        temporary: bool,
        folder: Arc<Folder>,
    ) -> Result<Self, SqlError> {
        let (conn, watch) = connection::open_writer(path, temporary)?;
        if settings.overwrite_deleted {
            connection::overwrite_deleted(&conn)?;
        }
        let (jobs, queue) = mpsc::channel();
        let pen = Pen {
            conn,
            watch,
            statement_timeout: settings.statement_timeout,
            refusing: None,
            dirty: false,
            jobs: 0,
            log: path.with_extension("db-wal"),
            _folder: folder,
        };
        task::thread("sqlite-writer", move || pen.serve(&queue));
        let places_max = settings.writer_queue_max.max(1);
        Ok(Self {
            jobs,
            places: Arc::new(Semaphore::new(places_max)),
            places_max,
            acquire_timeout: settings.acquire_timeout,
            writer_hold: settings.writer_hold,
        })
    }

    /// Runs `work` in one transaction. Until it is queued it can be cancelled, then it runs to its end.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        longest: Option<Duration>,
        work: impl FnOnce(&Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        let (reply, answer) = oneshot::channel();
        self.queue(move |pen| drop(reply.send(pen.transaction(longest, work))))
            .await?;
        answer.await.map_err(|_| stopped())?
    }

    /// The same with another file at hand as the schema [`BESIDE`], each statement bounded by `longest`.
    pub(super) async fn write_beside<T: Send + 'static>(
        &self,
        file: PathBuf,
        longest: Duration,
        work: impl FnOnce(&Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        let (reply, answer) = oneshot::channel();
        self.queue(move |pen| drop(reply.send(pen.beside(&file, longest, work))))
            .await?;
        answer.await.map_err(|_| stopped())?
    }

    /// Waits for the writer and begins a transaction on it.
    pub(super) async fn session(&self) -> Result<Session, SqlError> {
        let (reply, begun) = oneshot::channel();
        let (session, commands) = session::pair();
        let hold = self.writer_hold;
        self.queue(move |pen| session::serve(pen, &commands, hold, reply))
            .await?;
        begun.await.map_err(|_| stopped())??;
        Ok(session)
    }

    pub(super) async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.jobs.send(Job::Stop(reply)).is_ok() {
            let _ = done.await;
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.places_max - self.places.available_permits()
    }

    async fn queue(&self, work: impl FnOnce(&mut Pen) + Send + 'static) -> Result<(), SqlError> {
        let place = Arc::clone(&self.places).acquire_owned();
        let place = tokio::time::timeout(self.acquire_timeout, place)
            .await
            .map_err(|_| SqlError::Timeout("the writer's queue was full for too long".into()))?
            .map_err(|_| stopped())?;
        let work = Box::new(work);
        let job = Job::Work {
            work,
            _place: place,
        };
        self.jobs.send(job).map_err(|_| stopped())
    }
}

impl Pen {
    fn serve(mut self, queue: &mpsc::Receiver<Job>) {
        loop {
            let next = if self.dirty {
                queue.recv_timeout(IDLE)
            } else {
                queue.recv().map_err(Into::into)
            };
            match next {
                Ok(Job::Work { work, .. }) => self.perform(work),
                Ok(Job::Stop(done)) => {
                    self.checkpoint("truncate");
                    drop(self);
                    let _ = done.send(());
                    return;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => self.checkpoint("passive"),
                Err(mpsc::RecvTimeoutError::Disconnected) => return self.checkpoint("truncate"),
            }
        }
    }

    fn perform(&mut self, work: Box<dyn FnOnce(&mut Pen) + Send>) {
        self.dirty = true;
        let panicked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(self))).is_err();
        if panicked {
            self.roll_back();
        }
        self.jobs = (self.jobs + 1) % JOBS_BETWEEN_LOOKS;
        if self.jobs == 0 && std::fs::metadata(&self.log).is_ok_and(|log| log.len() > LOG_BYTES) {
            self.checkpoint("passive");
        }
    }

    fn transaction<T>(
        &mut self,
        longest: Option<Duration>,
        work: impl FnOnce(&Connection) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        self.begin()?;
        self.watch.bound(longest.unwrap_or(self.statement_timeout));
        match work(&self.conn) {
            Ok(done) => self.commit().map(|()| done),
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    fn beside<T>(
        &mut self,
        file: &Path,
        longest: Duration,
        work: impl FnOnce(&Connection) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        self.watch.bound(Duration::MAX);
        // A panic may have left one.
        self.put_away();
        let attached = self.conn.execute(
            &format!("attach database ?1 as {BESIDE}"),
            [file.to_string_lossy()],
        );
        attached.map_err(|error| sql_error(error, "attach"))?;
        let done = self.transaction(Some(longest), work);
        self.put_away();
        done
    }

    /// Outside of a transaction: within one it would be refused.
    fn put_away(&self) {
        self.watch.bound(Duration::MAX);
        let there = "select 1 from pragma_database_list where name = ?1";
        let there = self.conn.query_row(there, [BESIDE], |_| Ok(()));
        if there.is_ok()
            && let Err(error) = self.conn.execute_batch(&format!("detach {BESIDE}"))
        {
            warn!(%error, "a file beside the database could not be put away");
        }
    }

    pub(super) fn begin(&mut self) -> Result<(), SqlError> {
        if let Some(reason) = &self.refusing {
            return Err(SqlError::Unavailable(reason.clone()));
        }
        self.watch.bound(Duration::MAX);
        let begun = self.conn.execute_batch("begin immediate");
        begun.map_err(|error| self.judge(error, "begin"))
    }

    /// Bounds the next statement by its own limit and what is `left` of the transaction's.
    pub(super) fn bound(&self, left: Duration) {
        self.watch.bound(self.statement_timeout.min(left));
    }

    pub(super) fn conn(&self) -> &Connection {
        &self.conn
    }

    pub(super) fn commit(&mut self) -> Result<(), SqlError> {
        // Never interrupted: an interrupted COMMIT would only be a slower way to fail.
        self.watch.bound(Duration::MAX);
        if self.conn.is_autocommit() {
            return Err(SqlError::usage(
                "the transaction was ended by a statement in it",
            ));
        }
        let Err(error) = self.conn.execute_batch("commit") else {
            return Ok(());
        };
        let forgotten = distrusts_the_disk(&error);
        let error = self.judge(error, "commit");
        self.roll_back();
        Err(match error {
            // Its frames may be on the disk as a whole; the next start will show.
            SqlError::Unavailable(reason) if forgotten => SqlError::InDoubt(reason),
            other => other,
        })
    }

    pub(super) fn roll_back(&mut self) {
        self.watch.bound(Duration::MAX);
        if self.conn.is_autocommit() {
            return;
        }
        if let Err(error) = self.conn.execute_batch("rollback") {
            warn!(%error, "a rollback failed");
        }
    }

    /// After an I/O error nothing more is written: what the operating system forgot cannot be flushed again.
    fn judge(&mut self, error: rusqlite::Error, step: &str) -> SqlError {
        if distrusts_the_disk(&error) {
            let reason = format!(
                "writing stopped after an I/O error ({error}): check the disk, then restart"
            );
            error!(%error, step, "SQLite cannot trust its disk: this process writes no more");
            self.refusing = Some(reason.clone());
            return SqlError::Unavailable(reason);
        }
        sql_error(error, step)
    }

    fn checkpoint(&mut self, mode: &str) {
        self.dirty = false;
        if self.refusing.is_some() {
            return;
        }
        self.watch.bound(Duration::MAX);
        let done = self
            .conn
            .query_row(&format!("pragma wal_checkpoint({mode})"), [], |_| Ok(()));
        if let Err(error) = done {
            let _ = self.judge(error, "checkpoint");
        }
    }
}

fn stopped() -> SqlError {
    SqlError::Unavailable("the database's writer has stopped".into())
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn after_a_failed_flush_nothing_is_written_any_more() {
        let folder = Folder::temporary().unwrap();
        let path = std::env::temp_dir().join(format!("{}.db", stanchion_runtime::id::new_v7()));
        let (conn, watch) = connection::open_writer(&path, true).unwrap();
        let mut pen = Pen {
            conn,
            watch,
            statement_timeout: IDLE,
            refusing: None,
            dirty: false,
            jobs: 0,
            log: path.with_extension("db-wal"),
            _folder: folder,
        };
        let create = |conn: &Connection| {
            conn.execute_batch("create table if not exists t (a text)")
                .map_err(|error| sql_error(error, ""))
        };
        pen.transaction(None, create).unwrap();
        let full = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        pen.judge(full, "commit");
        pen.transaction(None, create).unwrap();
        let failed = ffi::Error::new(ffi::SQLITE_IOERR_FSYNC);
        pen.judge(rusqlite::Error::SqliteFailure(failed, None), "commit");
        let refused = pen.transaction(None, create);
        assert!(
            matches!(refused, Err(SqlError::Unavailable(_))),
            "{refused:?}"
        );
        drop(pen);
        std::fs::remove_file(path).unwrap();
    }
}
