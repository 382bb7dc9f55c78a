//! One task that gathers concurrent appends into one transaction and answers each alone.

use std::collections::{HashSet, VecDeque};

use stanchion_eventsourcing::{Append, AppendError, Appended};
use tokio::sync::{mpsc, oneshot};

use super::backend::Backend;

/// The most events in one transaction, unless one append alone has more.
const BATCH_EVENTS_MAX: usize = 512;

/// One append with whom to tell.
pub(super) struct Job {
    pub(super) append: Append,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// Runs until every sender is gone and the queue is empty. Never interrupted between commit and answer.
pub(super) async fn run(backend: Backend, mut queue: mpsc::Receiver<Job>) {
    let mut waiting: VecDeque<Job> = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Some(job) = queue.recv().await else {
                return;
            };
            waiting.push_back(job);
            // Whoever is ready to append now gets into the same transaction.
            tokio::task::yield_now().await;
        }
        while waiting.len() < BATCH_EVENTS_MAX
            && let Ok(job) = queue.try_recv()
        {
            waiting.push_back(job);
        }
        let batch = next_batch(&mut waiting);
        commit(&backend, batch).await;
    }
}

/// Takes what can share a transaction: a second append to a stream or under an inbox key waits.
fn next_batch(waiting: &mut VecDeque<Job>) -> Vec<Job> {
    let mut batch = Vec::new();
    let mut left = VecDeque::new();
    let (mut streams, mut keys, mut events) = (HashSet::new(), HashSet::new(), 0);
    for job in waiting.drain(..) {
        let count = job.append.events.len();
        let full = !batch.is_empty() && events + count > BATCH_EVENTS_MAX;
        let key = job.append.inbox.as_ref().map(|entry| entry.key.clone());
        let key_taken = key.as_ref().is_some_and(|key| keys.contains(key));
        // A stream that has to wait keeps its later appends waiting too.
        let stream_taken = !streams.insert(job.append.stream.key());
        if full || key_taken || stream_taken {
            left.push_back(job);
        } else {
            keys.extend(key);
            events += count;
            batch.push(job);
        }
    }
    *waiting = left;
    batch
}

async fn commit(backend: &Backend, batch: Vec<Job>) {
    let (appends, askers): (Vec<Append>, Vec<_>) = batch
        .into_iter()
        .map(|job| (job.append, job.answer))
        .unzip();
    let answers = backend.commit(appends).await;
    for (asker, answer) in askers.into_iter().zip(answers) {
        // Whoever went away does not want to know; what is recorded stays recorded.
        let _ = asker.send(answer);
    }
}
