//! Worker pool: jobs that must end though nobody waits, on a bounded number of workers.
//!
//! ```text
//!  try_submit ──► bounded queue ──► worker 1 … n ──► result
//!    Full / Closed                   timeout, panic caught
//! ```
//!
//! Nothing survives a crash: what must, is an entry of the log or a row first.

mod jobs;
mod layer;
mod queue;
#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use stanchion_runtime::task;
use tokio::sync::oneshot;

pub use layer::{PoolError, PoolLayer, Pooled};
use queue::Queue;

stanchion_config::settings! {
    /// Jobs on a bounded number of workers.
    pub struct PoolSettings {
        /// Jobs that run at a time.
        #[range(1..=10000)]
        pub workers: u32 = 4,
        /// Jobs that wait.
        #[range(1..=1000000)]
        pub queue: u32 = 64,
        /// How long a job may run.
        #[range("1ms"..="1d")]
        pub job_timeout: Duration = "30s",
    }
}

/// Workers and the queue before them. Clones are the same pool; when the last is dropped it shuts down gracefully.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use stanchion_resilience::pool::{Pool, PoolSettings, SubmitError};
///
/// let pool = Pool::new("thumbnails", &PoolSettings::default());
/// let job = pool.try_submit(async { 6 * 7 }).expect("the queue has room");
/// assert_eq!(job.await, Ok(42));
/// pool.shutdown().await;
/// assert!(matches!(pool.try_submit(async {}), Err(SubmitError::Closed(_))));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: &'static str,
    settings: PoolSettings,
    queue: Arc<Queue>,
}

/// A submitted job; awaiting it gives its result. Dropping it lets the job run on unobserved.
#[derive(Debug)]
pub struct Job<T> {
    result: oneshot::Receiver<Result<T, JobFailed>>,
}

/// Why a job gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobFailed {
    /// It ran longer than allowed and was dropped.
    #[error("the job took longer than {0:?}")]
    TimedOut(Duration),
    /// It panicked; its worker goes on.
    #[error("the job panicked: {0}")]
    Panicked(String),
    /// The pool was shut down before it ended.
    #[error("the pool was shut down")]
    Cancelled,
}

/// Why a job was not taken; the job comes back.
#[derive(thiserror::Error)]
pub enum SubmitError<F> {
    /// The queue is full: come again, or shed.
    #[error("the queue is full")]
    Full(F),
    /// The pool takes no more jobs, ever.
    #[error("the pool is shut down")]
    Closed(F),
}

impl Pool {
    /// Starts the workers.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(name: &'static str, settings: &PoolSettings) -> Self {
        let queue = Arc::new(Queue::new(settings.queue as usize));
        for _ in 0..settings.workers {
            // Their end is told by the queue; a job's panic never reaches them.
            drop(task::spawn(name, queue.clone().work()));
        }
        Pool {
            shared: Arc::new(Shared {
                name,
                settings: settings.clone(),
                queue,
            }),
        }
    }

    /// Puts `job` into the queue, if there is room at once.
    ///
    /// # Errors
    /// [`SubmitError::Full`] now, or [`SubmitError::Closed`] after a shutdown began; the job comes back unpolled.
    pub fn try_submit<T, F>(&self, job: F) -> Result<Job<T>, SubmitError<F>>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        match self.shared.queue.try_room() {
            Ok(room) => self.put(room, job),
            Err(queue::NoRoom::Full) => Err(SubmitError::Full(job)),
            Err(queue::NoRoom::Closed) => Err(SubmitError::Closed(job)),
        }
    }

    /// Puts `job` into the queue, waiting for room; dropping the wait drops the job.
    ///
    /// # Errors
    /// [`SubmitError::Closed`] after a shutdown began.
    pub async fn submit<T, F>(&self, job: F) -> Result<Job<T>, SubmitError<F>>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        match self.shared.queue.room().await {
            Ok(room) => self.put(room, job),
            Err(_) => Err(SubmitError::Closed(job)),
        }
    }

    /// Graceful: takes no more jobs, runs those it has, and returns when the last has ended.
    ///
    /// Dropping the wait does not undo it; [`shutdown_now`](Self::shutdown_now) may follow.
    pub async fn shutdown(&self) {
        self.shared.queue.close();
        self.ended().await;
    }

    /// Immediate: drops waiting jobs, and running ones at their next await; both are [`JobFailed::Cancelled`].
    pub async fn shutdown_now(&self) {
        self.shared.queue.stop();
        self.ended().await;
    }

    /// Its name, that of its tasks too.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.shared.name
    }

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &PoolSettings {
        &self.shared.settings
    }

    /// Jobs in the queue.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue.len()
    }

    /// Jobs being run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.shared.queue.running()
    }

    fn put<T, F>(&self, room: queue::Room<'_>, job: F) -> Result<Job<T>, SubmitError<F>>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let timeout = self.shared.settings.job_timeout;
        let put = room.put(job, |job| Box::pin(run(job, timeout, answer)));
        put.map(|()| Job { result }).map_err(SubmitError::Closed)
    }

    async fn ended(&self) {
        self.shared.queue.ended(self.shared.settings.workers).await;
    }
}

async fn run<T>(
    job: impl Future<Output = T>,
    timeout: Duration,
    answer: oneshot::Sender<Result<T, JobFailed>>,
) {
    let job = AssertUnwindSafe(tokio::time::timeout(timeout, job)).catch_unwind();
    let result = match job.await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_elapsed)) => Err(JobFailed::TimedOut(timeout)),
        Err(panic) => Err(JobFailed::Panicked(
            task::panic_text(panic.as_ref()).to_owned(),
        )),
    };
    // Nobody may be waiting for it.
    let _ = answer.send(result);
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl<T> Future for Job<T> {
    type Output = Result<T, JobFailed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.result)
            .poll(context)
            .map(|received| received.unwrap_or(Err(JobFailed::Cancelled)))
    }
}

impl<F> std::fmt::Debug for SubmitError<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SubmitError::Full(_) => "Full",
            SubmitError::Closed(_) => "Closed",
        })
    }
}
