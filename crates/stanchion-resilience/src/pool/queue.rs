//! The workers' side: who waits for a job, and who for room.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

use super::jobs::{Jobs, Next, NotTaken};

type Work = BoxFuture<'static, ()>;

/// [`Jobs`] decides; the semaphores wake, in order, who waits for what it decided.
pub(super) struct Queue {
    jobs: Mutex<Jobs<Work>>,
    /// A permit for each free place.
    room: Semaphore,
    /// A permit for each waiting job.
    work: Semaphore,
    /// Closed to stop running jobs.
    stop: Semaphore,
    /// A permit for each worker that has ended.
    ended: Semaphore,
}

/// A place in the queue that is not taken yet; dropped, it is free again.
pub(super) struct Room<'q> {
    queue: &'q Queue,
    permit: SemaphorePermit<'q>,
}

pub(super) enum NoRoom {
    Full,
    Closed,
}

impl Queue {
    pub(super) fn new(room: usize) -> Self {
        Queue {
            jobs: Mutex::new(Jobs::new(room)),
            room: Semaphore::new(room),
            work: Semaphore::new(0),
            stop: Semaphore::new(0),
            ended: Semaphore::new(0),
        }
    }

    pub(super) fn try_room(&self) -> Result<Room<'_>, NoRoom> {
        match self.room.try_acquire() {
            Ok(permit) => Ok(Room {
                queue: self,
                permit,
            }),
            Err(TryAcquireError::NoPermits) => Err(NoRoom::Full),
            Err(TryAcquireError::Closed) => Err(NoRoom::Closed),
        }
    }

    pub(super) async fn room(&self) -> Result<Room<'_>, NoRoom> {
        let permit = self.room.acquire().await.map_err(|_| NoRoom::Closed)?;
        Ok(Room {
            queue: self,
            permit,
        })
    }

    /// Takes no more jobs; workers run what is there and end.
    pub(super) fn close(&self) {
        self.jobs.lock().close();
        self.room.close();
        self.work.close();
    }

    /// Drops what waits, and what runs at its next await.
    pub(super) fn stop(&self) {
        self.close();
        self.stop.close();
        let dropped = self.jobs.lock().stop();
        // A job's destructor may do anything: not under the lock.
        drop(dropped);
    }

    /// Returns when so many workers have ended; may be asked more than once.
    pub(super) async fn ended(&self, workers: u32) {
        // Never closed; and the permits go back for who asks next.
        let _all = self.ended.acquire_many(workers).await;
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.lock().waiting()
    }

    pub(super) fn running(&self) -> usize {
        self.jobs.lock().running()
    }

    /// A worker: runs jobs until the queue is closed and empty, or stopped.
    pub(super) async fn work(self: Arc<Self>) {
        let _ended = Ended(&self.ended);
        loop {
            // An error means closed: what is left needs no counting any more.
            let has_permit = self.work.acquire().await.map(SemaphorePermit::forget);
            let next = self.jobs.lock().next();
            match next {
                Next::End => return,
                Next::Wait => {}
                Next::Run(job) => {
                    if has_permit.is_ok() {
                        self.room.add_permits(1);
                    }
                    let _running = Running(&self.jobs);
                    // A job catches its own panics; this is for one of its destructor.
                    let job = AssertUnwindSafe(job).catch_unwind();
                    tokio::select! {
                        biased;
                        _ = self.stop.acquire() => return,
                        _ = job => {}
                    }
                }
            }
        }
    }
}

impl Room<'_> {
    /// Takes the place; the job comes back when the queue has been closed meanwhile.
    pub(super) fn put<F>(self, job: F, boxed: impl FnOnce(F) -> Work) -> Result<(), F> {
        let mut jobs = self.queue.jobs.lock();
        if !jobs.is_open() {
            return Err(job);
        }
        let taken = jobs.put(boxed(job));
        drop(jobs);
        match taken {
            Ok(()) => {
                self.permit.forget();
                self.queue.work.add_permits(1);
            }
            // A permit is a place, so there is one; were it not so, the job would be dropped, and its caller told.
            Err(NotTaken::Full(_) | NotTaken::Closed(_)) => {}
        }
        Ok(())
    }
}

/// Tells of a worker's end, whichever way it ends.
struct Ended<'s>(&'s Semaphore);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// Tells of a job's end, whichever way it ends.
struct Running<'q>(&'q Mutex<Jobs<Work>>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().ended();
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("waiting", &self.len())
            .finish_non_exhaustive()
    }
}
