//! Who may hash now, who may wait, and the threads that do the work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use stanchion_runtime::task;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::Span;

use super::{PasswordError, PasswordStats};

/// By how much the hashing threads stand back from the others: a tenth of an ordinary thread's share where both want
/// a core (sched(7)), all of it where nobody else does.
#[cfg(target_os = "linux")]
pub(super) const NICENESS: i32 = 10;

/// The most that Linux knows.
#[cfg(target_os = "linux")]
const NICENESS_MAX: i32 = 19;

/// Of so many places in the queue one is for callers that are known.
const RESERVED_OF: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

/// A few threads of its own, and a bounded number of callers that wait for them.
pub(super) struct Pool {
    slots: usize,
    places: usize,
    running: Arc<Semaphore>,
    /// The places that are free, those of `reserved` aside.
    open: Arc<Semaphore>,
    /// Of the places those that strangers do not get.
    reserved: Arc<Semaphore>,
    hashed: Arc<AtomicU64>,
    shed: AtomicU64,
    /// Made by the first job. It holds one a slot at most: whoever sends has a slot.
    jobs: OnceLock<Sender<Job>>,
}

impl Pool {
    pub(super) fn new(slots: usize, queue: usize) -> Self {
        let slots = slots.min(Semaphore::MAX_PERMITS);
        let places = slots.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        let reserved = (places - slots) / RESERVED_OF;
        Self {
            slots,
            places,
            running: Arc::new(Semaphore::new(slots)),
            open: Arc::new(Semaphore::new(places - reserved)),
            reserved: Arc::new(Semaphore::new(reserved)),
            hashed: Arc::default(),
            shed: AtomicU64::new(0),
            jobs: OnceLock::new(),
        }
    }

    /// A place, at once; refused where too many wait. Dropping it makes room for another one.
    pub(super) fn place(&self, is_known: bool) -> Result<OwnedSemaphorePermit, PasswordError> {
        let place = match Arc::clone(&self.open).try_acquire_owned() {
            Err(_) if is_known => Arc::clone(&self.reserved).try_acquire_owned(),
            outcome => outcome,
        };
        place.map_err(|_| {
            self.shed.fetch_add(1, Ordering::Relaxed);
            PasswordError::HashingBusy
        })
    }

    /// Does `work` on a thread of the pool, at once or after those who came before, in the span of its caller. The place goes
    /// with the work: a caller that leaves does not free a core that is still busy.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        place: OwnedSemaphorePermit,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let slot = Arc::clone(&self.running).acquire_owned().await;
        let slot = slot.map_err(|_| PasswordError::HashingBusy)?;
        let (answer, answered) = oneshot::channel();
        let (span, hashed) = (Span::current(), Arc::clone(&self.hashed));
        let job = move || {
            let outcome = span.in_scope(work);
            hashed.fetch_add(1, Ordering::Relaxed);
            drop((slot, place));
            let _gone = answer.send(outcome);
        };
        let failed = || PasswordError::Failed("the hashing panicked".into());
        let jobs = self.jobs.get_or_init(|| threads(self.slots));
        jobs.send(Box::new(job)).map_err(|_| failed())?;
        answered.await.unwrap_or_else(|_| Err(failed()))
    }

    pub(super) fn stats(&self) -> PasswordStats {
        let running = self.slots - self.running.available_permits();
        let free = self.open.available_permits() + self.reserved.available_permits();
        let (inside, queue) = (self.places.saturating_sub(free), self.places - self.slots);
        PasswordStats {
            slots: self.slots,
            running,
            // Whoever has a place and looks something up before hashing waits for nobody.
            waiting: inside.saturating_sub(running).min(queue),
            queue,
            hashed: self.hashed.load(Ordering::Relaxed),
            shed: self.shed.load(Ordering::Relaxed),
        }
    }
}

/// As many threads as there are slots; they end with the pool. Not tokio's: theirs would keep the niceness for other work.
fn threads(slots: usize) -> Sender<Job> {
    let (sender, receiver) = channel();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..slots {
        let jobs = Arc::clone(&receiver);
        drop(task::thread("password", move || serve(&jobs)));
    }
    sender
}

fn serve(jobs: &Mutex<Receiver<Job>>) {
    stand_back();
    loop {
        // One thread waits for the next job, the others for their turn to wait.
        let job = jobs.lock().recv();
        let Ok(job) = job else { return };
        // A panic ends its own job alone: its caller hears that no answer comes, the hook has logged where.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

/// On Linux each thread has a niceness of its own; elsewhere it would be the whole process'.
#[cfg(target_os = "linux")]
fn stand_back() {
    use rustix::process::{getpriority_process, setpriority_process};

    let now = getpriority_process(None).unwrap_or(0);
    let wanted = (now + NICENESS).min(NICENESS_MAX);
    if let Err(error) = setpriority_process(None, wanted) {
        tracing::debug!(%error, "password hashing keeps the priority of other threads");
    }
}

#[cfg(not(target_os = "linux"))]
fn stand_back() {}
