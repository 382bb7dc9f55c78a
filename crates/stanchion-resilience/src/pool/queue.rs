//! The bounded queue before the workers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

/// Jobs in their order. `room` counts free places, `jobs` counts waiting jobs; both wake who waits for one.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    room: Semaphore,
    jobs: Semaphore,
    /// Closed to stop running jobs.
    stop: Semaphore,
    /// A permit for each worker that has ended.
    ended: Semaphore,
    running: AtomicUsize,
}

struct Waiting {
    jobs: VecDeque<BoxFuture<'static, ()>>,
    is_open: bool,
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
            waiting: Mutex::new(Waiting {
                jobs: VecDeque::new(),
                is_open: true,
            }),
            room: Semaphore::new(room),
            jobs: Semaphore::new(0),
            stop: Semaphore::new(0),
            ended: Semaphore::new(0),
            running: AtomicUsize::new(0),
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
        self.waiting.lock().is_open = false;
        self.room.close();
        self.jobs.close();
    }

    /// Drops what waits, and what runs at its next await.
    pub(super) fn stop(&self) {
        self.close();
        self.stop.close();
        let dropped = std::mem::take(&mut self.waiting.lock().jobs);
        // A job's destructor may do anything: not under the lock.
        drop(dropped);
    }

    /// Returns when so many workers have ended; may be asked more than once.
    pub(super) async fn ended(&self, workers: u32) {
        // Never closed; and the permits go back for who asks next.
        let _all = self.ended.acquire_many(workers).await;
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.lock().jobs.len()
    }

    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// A worker: runs jobs until the queue is closed and empty, or stopped.
    pub(super) async fn work(self: Arc<Self>) {
        let _ended = Ended(&self.ended);
        while let Some(job) = self.next().await {
            let _running = Running::new(&self.running);
            tokio::select! {
                biased;
                _ = self.stop.acquire() => return,
                () = job => {}
            }
        }
    }

    async fn next(&self) -> Option<BoxFuture<'static, ()>> {
        // An error means closed: what is left needs no counting any more.
        if let Ok(permit) = self.jobs.acquire().await {
            permit.forget();
            self.room.add_permits(1);
        }
        self.waiting.lock().jobs.pop_front()
    }
}

impl Room<'_> {
    /// Takes the place; the job comes back when the queue has been closed meanwhile.
    pub(super) fn put<F>(
        self,
        job: F,
        boxed: impl FnOnce(F) -> BoxFuture<'static, ()>,
    ) -> Result<(), F> {
        let mut waiting = self.queue.waiting.lock();
        if !waiting.is_open {
            return Err(job);
        }
        waiting.jobs.push_back(boxed(job));
        drop(waiting);
        self.permit.forget();
        self.queue.jobs.add_permits(1);
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

/// Counts a running job, whichever way it ends.
struct Running<'c>(&'c AtomicUsize);

impl<'c> Running<'c> {
    fn new(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Running(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("waiting", &self.len())
            .finish_non_exhaustive()
    }
}
