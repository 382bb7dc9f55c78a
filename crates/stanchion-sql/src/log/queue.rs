//! Appends that wait for the committer, and which of them share a transaction.

#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_eventsourcing::AppendError;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::plan::Answer;
use super::ready::Ready;

/// Appends that wait; beyond it they are shed.
pub(super) const JOBS_MAX: usize = 4_096;

/// The most events in one transaction, unless one append alone has more.
pub(super) const BATCH_EVENTS_MAX: usize = 512;

/// The most bytes in one transaction, likewise.
pub(super) const BATCH_BYTES_MAX: usize = 256 << 10;

/// One append with whom to tell.
pub(super) struct Job {
    pub(super) ready: Ready,
    pub(super) answer: oneshot::Sender<Answer>,
    /// When it was queued.
    pub(super) since: Instant,
    pub(super) how: How,
    /// How often it collided with somebody's locks.
    pub(super) collisions: u32,
    /// When the connection broke while it was being committed: it may be there.
    pub(super) in_doubt: Option<Instant>,
}

/// Which ways are still open to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    /// Every way.
    Free,
    /// What was remembered misled it: only with a look under the lock.
    Checked,
    /// Its batch was refused by the database for what one of them says: in a transaction of its own.
    Alone,
}

/// What is being committed: nothing else may touch it.
#[derive(Debug, Default)]
pub(super) struct Busy {
    pub(super) streams: HashSet<Uuid>,
    pub(super) keys: HashSet<String>,
}

/// The queue between the callers and the committer.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    ready: Notify,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    events: usize,
    closed: bool,
    /// The committer sleeps until so many events wait.
    wake_at: usize,
}

impl Queue {
    /// Queues an append; full or closed, says so.
    pub(super) fn push(&self, job: Job) -> Result<(), AppendError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(AppendError::Unavailable("it is closed".into()));
        }
        if state.jobs.len() >= JOBS_MAX {
            return Err(AppendError::Overloaded);
        }
        state.add(job);
        if state.events >= state.wake_at {
            state.wake_at = usize::MAX;
            drop(state);
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Puts back what has to be tried again, before all others.
    pub(super) fn put_back(&self, jobs: Vec<Job>) {
        let mut state = self.state.lock();
        for job in jobs.into_iter().rev() {
            state.events += weight(&job);
            state.jobs.push_front(job);
        }
    }

    /// Refuses what comes from now on; what waits is still committed.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.ready.notify_one();
    }

    /// Refuses what comes, and drops what waits: nobody is there to commit it, and who asked is told that it is unknown.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.events = 0;
        state.jobs.clear();
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.state.lock().jobs.len()
    }

    /// Whether nothing waits and nothing will come.
    pub(super) fn is_done(&self) -> bool {
        let state = self.state.lock();
        state.closed && state.jobs.is_empty()
    }

    /// Whether what waits fills a batch.
    pub(super) fn is_full_batch(&self) -> bool {
        self.state.lock().events >= BATCH_EVENTS_MAX
    }

    /// Waits until so many events wait, or until it is closed.
    pub(super) async fn wait_for(&self, events: usize) {
        {
            let mut state = self.state.lock();
            // Not for being closed: whoever waits looks at that before, and is woken by it once.
            if state.events >= events {
                return;
            }
            state.wake_at = events;
        }
        self.ready.notified().await;
    }

    /// Takes what goes into the next transaction.
    pub(super) fn take(&self, busy: &Busy) -> Vec<Job> {
        let mut state = self.state.lock();
        let batch = pick(&mut state.jobs, busy);
        state.events -= batch.iter().map(weight).sum::<usize>();
        batch
    }

    /// Takes out what has waited for longer than `longest`.
    pub(super) fn take_late(&self, longest: Duration) -> Vec<Job> {
        let mut state = self.state.lock();
        let late = |job: &Job| job.in_doubt.unwrap_or(job.since).elapsed() > longest;
        if !state.jobs.iter().any(late) {
            return Vec::new();
        }
        let (late, kept): (VecDeque<_>, VecDeque<_>) = state.jobs.drain(..).partition(late);
        state.jobs = kept;
        state.events -= late.iter().map(weight).sum::<usize>();
        late.into()
    }
}

impl State {
    fn add(&mut self, job: Job) {
        self.events += weight(&job);
        self.jobs.push_back(job);
    }
}

/// An append without an event is work as well.
fn weight(job: &Job) -> usize {
    job.ready.len().max(1)
}

/// What can share a transaction: oldest first, no stream and no inbox key twice or in flight, up to the bounds.
fn pick(waiting: &mut VecDeque<Job>, busy: &Busy) -> Vec<Job> {
    let mut batch = Vec::new();
    let mut kept = Vec::new();
    let (mut streams, mut keys) = (HashSet::new(), HashSet::new());
    let (mut events, mut bytes) = (0, 0);
    while let Some(job) = waiting.pop_front() {
        let (count, size) = (job.ready.len(), job.ready.bytes);
        let full = !batch.is_empty()
            && (events + count > BATCH_EVENTS_MAX || bytes + size > BATCH_BYTES_MAX);
        let alone = job.how == How::Alone;
        if full || (alone && !batch.is_empty()) {
            waiting.push_front(job);
            break;
        }
        let key = job.ready.inbox_key();
        let key_taken = key.is_some_and(|key| busy.keys.contains(key) || keys.contains(key));
        let stream = job.ready.key;
        // A stream that has to wait keeps its later appends waiting too.
        let stream_taken = !streams.insert(stream) || busy.streams.contains(&stream);
        if key_taken || stream_taken {
            kept.push(job);
            continue;
        }
        keys.extend(key.map(str::to_owned));
        (events, bytes) = (events + count, bytes + size);
        batch.push(job);
        if alone {
            break;
        }
    }
    for job in kept.into_iter().rev() {
        waiting.push_front(job);
    }
    batch
}
