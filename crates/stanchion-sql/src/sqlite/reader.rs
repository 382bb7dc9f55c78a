use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use stanchion_runtime::task;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Call;
use super::connection::{self, Watch};
use crate::row::Outcome;
use crate::{DatabaseSettings, SqlError};

/// Reads waiting for a thread, all threads together.
const WAITING_MAX: usize = 1_024;

/// The threads that read. Each read sees the last committed state; a dropped read is interrupted.
#[derive(Debug)]
pub(super) struct Readers {
    jobs: mpsc::Sender<Job>,
    places: Arc<Semaphore>,
    acquire_timeout: Duration,
}

struct Job {
    work: Box<dyn FnOnce(&Connection) + Send>,
    abandoned: Arc<AtomicBool>,
    _place: OwnedSemaphorePermit,
}

/// Tells the reading thread that nobody waits any more.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Readers {
    pub(super) fn start(path: &Path, settings: &DatabaseSettings) -> Result<Self, SqlError> {
        let (jobs, waiting) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..settings.readers.max(1) {
            let (conn, watch) = connection::open_reader(path)?;
            let (waiting, longest) = (Arc::clone(&waiting), settings.statement_timeout);
            task::thread("sqlite-reader", move || {
                serve(&conn, &watch, &waiting, longest)
            });
        }
        Ok(Self {
            jobs,
            places: Arc::new(Semaphore::new(WAITING_MAX)),
            acquire_timeout: settings.acquire_timeout,
        })
    }

    /// `None` if the statement would write.
    pub(super) async fn run(&self, call: Call) -> Result<Option<Outcome>, SqlError> {
        self.with(move |conn| connection::run_read(conn, &call))
            .await
    }

    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        let place = Arc::clone(&self.places).acquire_owned();
        let place = tokio::time::timeout(self.acquire_timeout, place)
            .await
            .map_err(|_| SqlError::Timeout("no reader was free in time".into()))?
            .map_err(|_| stopped())?;
        let (reply, answer) = oneshot::channel();
        let abandon = Abandon(Arc::default());
        let job = Job {
            work: Box::new(move |conn| drop(reply.send(work(conn)))),
            abandoned: Arc::clone(&abandon.0),
            _place: place,
        };
        self.jobs.send(job).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

fn serve(
    conn: &Connection,
    watch: &Watch,
    waiting: &Mutex<mpsc::Receiver<Job>>,
    longest: Duration,
) {
    loop {
        let next = waiting.lock().recv();
        let Ok(job) = next else { return };
        if job.abandoned.load(Ordering::Relaxed) {
            continue;
        }
        watch.bound(longest);
        watch.abandon_when(Some(Arc::clone(&job.abandoned)));
        // A panic is the caller's: it sees a closed channel, the next job a working thread.
        let work = std::panic::AssertUnwindSafe(|| (job.work)(conn));
        let _ = std::panic::catch_unwind(work);
        watch.abandon_when(None);
    }
}

fn stopped() -> SqlError {
    SqlError::Unavailable("the database's readers have stopped".into())
}
