//! What is done with a batch that came back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use stanchion_eventsourcing::{AppendError, Position, Recorded, Version};
use tokio::time::Instant;

use super::batch::{Batch, Done, Landed, Way};
use super::{Committer, Line, answer};
use crate::SqlError;
use crate::log::packets::Trouble;
use crate::log::plan::{Verdict, answers};
use crate::log::queue::{How, Job};
use crate::log::state::LogCounts;

/// How often an append that collided with somebody's locks is repeated, with the same event ids.
const COLLISIONS_MAX: u32 = 5;

impl Committer {
    pub(super) fn land(&mut self, landed: Landed) {
        match landed {
            Landed::Batch(batch, done) => {
                self.batches -= 1;
                self.exclusive = false;
                for job in &batch.jobs {
                    self.busy.streams.remove(&job.ready.key);
                    if let Some(key) = job.ready.inbox_key() {
                        self.busy.keys.remove(key);
                    }
                }
                self.land_batch(batch, done);
            }
            Landed::Line(Ok((packets, driver))) => {
                tracing::info!(module = self.db.module(), "the log is connected again");
                LogCounts::add(&self.db.log().counts.reconnected, 1);
                self.line = Line::Up(packets);
                self.drive(driver);
            }
            Landed::Line(Err(error)) => {
                if let Line::Down {
                    reason,
                    attempts,
                    connecting,
                } = &mut self.line
                {
                    *reason = error.to_string();
                    *attempts += 1;
                    *connecting = false;
                }
                self.shed();
            }
            Landed::Hint => self.hinting = false,
            Landed::Closed => {}
        }
    }

    fn land_batch(&mut self, batch: Batch, done: Done) {
        let Done { result, at, began } = done;
        match result {
            Ok((verdicts, _)) if batch.way == Way::Look => self.answer_beaten(batch, verdicts),
            Ok((verdicts, base)) => {
                if batch.way == Way::Fast {
                    self.mood.went_well();
                }
                self.db.log().observe(batch.events(), began.elapsed());
                self.answer_committed(batch, verdicts, base, at);
            }
            Err(Trouble::Lost(reason)) => self.doubt(batch, reason),
            Err(Trouble::Refused(error)) => self.refused(batch, &error),
        }
    }

    fn answer_committed(
        &mut self,
        batch: Batch,
        verdicts: Vec<Verdict>,
        base: i64,
        at: jiff::Timestamp,
    ) {
        let log = self.db.log();
        {
            let mut known = log.known.lock();
            let age = known.age();
            for (ready, verdict) in batch.readies().zip(&verdicts) {
                if let Some(version) = version_after(ready.len(), verdict) {
                    known.learn(age, ready.key, version);
                }
            }
        }
        let written: Vec<bool> = verdicts
            .iter()
            .map(|verdict| matches!(verdict, Verdict::Write { .. }))
            .collect();
        let (answers, head) = answers(batch.readies(), verdicts, base);
        let conflicts = answers
            .iter()
            .filter(|answer| matches!(answer, Err(AppendError::Conflict { .. })));
        LogCounts::add(&log.counts.conflicts, conflicts.count());
        // Nobody follows, or the log may be another one by now: nothing to hand over.
        let now = self.db.incarnation();
        let follows = log.head().receiver_count() > 0 && batch.incarnation == now;
        let mut position = base;
        let mut askers = Vec::with_capacity(batch.jobs.len());
        let mut tail = follows.then(|| log.tail.lock());
        if let Some(tail) = &mut tail {
            tail.belong_to(now);
        }
        for ((job, written), answer) in batch.jobs.into_iter().zip(&written).zip(&answers) {
            let Job {
                ready,
                answer: asker,
                ..
            } = job;
            askers.push(asker);
            if let (Some(tail), true, Ok(appended)) = (&mut tail, *written, answer) {
                let last = appended.version.map_or(-1, |version| version.0);
                let mut version = last - ready.len() as i64;
                let stream = ready.append.stream;
                for event in ready.append.events {
                    (position, version) = (position + 1, version + 1);
                    let bytes = event.data.as_str().len() + ready.meta.len() + 256;
                    let entry = Recorded {
                        position: Position(position),
                        stream: stream.clone(),
                        version: Version(version),
                        id: event.id,
                        kind: event.kind,
                        data: event.data,
                        metadata: ready.append.metadata.clone(),
                        at,
                    };
                    tail.push(entry, bytes);
                }
            }
        }
        drop(tail);
        // Other processes were told by the packet itself.
        log.grew_to(head);
        for (asker, answer) in askers.into_iter().zip(answers) {
            // One who went away does not want to know; what is recorded stays recorded.
            let _ = asker.send(answer);
        }
    }

    /// The beaten ones: a conflict is a fact. Anything else is decided under the lock.
    fn answer_beaten(&mut self, batch: Batch, verdicts: Vec<Verdict>) {
        let mut again = Vec::new();
        for (mut job, verdict) in batch.jobs.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Answered(Err(conflict @ AppendError::Conflict { .. })) => {
                    LogCounts::add(&self.db.log().counts.conflicts, 1);
                    answer(job, Err(conflict));
                }
                _ => {
                    job.how = How::Checked;
                    again.push(job);
                }
            }
        }
        self.queue.put_back(again);
    }

    /// The outcome is found out by the events' ids, under the lock: a commit that still runs is waited for.
    fn doubt(&mut self, batch: Batch, reason: String) {
        self.hang_up(reason);
        let now = Instant::now();
        let counts = &self.db.log().counts;
        let looked = batch.way == Way::Look;
        let mut again = batch.jobs;
        if !looked {
            LogCounts::add(&counts.in_doubt, again.len());
            for job in &mut again {
                job.how = job.how.max(How::Checked);
                job.in_doubt.get_or_insert(now);
            }
        }
        self.queue.put_back(again);
        self.shed();
    }

    /// Nothing was written.
    fn refused(&mut self, batch: Batch, error: &SqlError) {
        let (way, alone) = (batch.way, batch.jobs.len() == 1);
        if way == Way::Fast && is_somebodys(error) {
            self.mood.was_refused();
            LogCounts::add(&self.db.log().counts.refused, 1);
        }
        let mut again = Vec::new();
        for mut job in batch.jobs {
            match error {
                SqlError::Serialization(_) if job.in_doubt.is_some() => again.push(job),
                SqlError::Serialization(_) if job.collisions < COLLISIONS_MAX => {
                    job.collisions += 1;
                    again.push(job);
                }
                error if is_somebodys(error) && way == Way::Fast => {
                    job.how = How::Checked;
                    again.push(job);
                }
                // One append that the database does not take must not fail its neighbours.
                error if is_somebodys(error) && !alone => {
                    job.how = How::Alone;
                    again.push(job);
                }
                error => {
                    let why = self.failure(&job, append_error(error));
                    answer(job, Err(why));
                }
            }
        }
        self.queue.put_back(again);
        // Before the next attempt takes them: who has waited for too long must not wait for that as well.
        self.shed();
    }

    /// Answers what has waited for too long.
    pub(super) fn shed(&mut self) {
        let longest = if self.is_over() {
            Duration::ZERO
        } else {
            self.longest
        };
        let late = self.queue.take_late(longest);
        let counts = &self.db.log().counts;
        counts
            .queued
            .store(self.queue.len() as u64, Ordering::Relaxed);
        if late.is_empty() {
            return;
        }
        LogCounts::add(&counts.shed, late.len());
        for job in late {
            let why = match &self.line {
                Line::Down { reason, .. } => AppendError::Unavailable(reason.clone()),
                _ => AppendError::Overloaded,
            };
            let why = self.failure(&job, why);
            answer(job, Err(why));
        }
    }

    /// An append that may be there is never told that nothing was written.
    fn failure(&self, job: &Job, why: AppendError) -> AppendError {
        if job.in_doubt.is_none() {
            return why;
        }
        LogCounts::add(&self.db.log().counts.unknown, 1);
        AppendError::Unknown
    }
}

fn version_after(events: usize, verdict: &Verdict) -> Option<i64> {
    match verdict {
        Verdict::Write { after } => {
            let last = after.unwrap_or(-1) + events as i64;
            (last >= 0).then_some(last)
        }
        Verdict::Answered(Ok(appended)) => appended.version.map(|version| version.0),
        Verdict::Answered(Err(AppendError::Conflict { actual })) => actual.map(|actual| actual.0),
        Verdict::Answered(Err(_)) => None,
    }
}

/// Whether the error is about what one append says, not about the database.
fn is_somebodys(error: &SqlError) -> bool {
    matches!(
        error,
        SqlError::Usage(_) | SqlError::Constraint(_) | SqlError::Conflict(_) | SqlError::Decode(_)
    )
}

pub(in crate::log) fn append_error(error: &SqlError) -> AppendError {
    match error {
        SqlError::InDoubt(_) => AppendError::Unknown,
        SqlError::Usage(reason) | SqlError::Constraint(reason) => {
            AppendError::Invalid(reason.clone())
        }
        SqlError::Conflict(_) => AppendError::Invalid(error.to_string()),
        other => AppendError::Unavailable(other.to_string()),
    }
}
