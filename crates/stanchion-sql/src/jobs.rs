use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use stanchion_messaging::{HandlerError, InboxEntry, Schedule};
use stanchion_runtime::{clock, id};
use stanchion_telemetry::Metrics;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::{Db, Lease, Leases, SqlError, params};

/// How long the lease of a job lasts without being renewed.
const LEASE: Duration = Duration::from_secs(15);

/// The first wait after an attempt failed, doubled each time.
const BACKOFF_BASE: Duration = Duration::from_secs(1);

/// The longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// How long an attempt may take, unless told otherwise.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(600);

/// How long it sleeps at most before it looks at the clock, which somebody may have set.
const LOOK: Duration = Duration::from_secs(30);

/// A job that was done for a time further ahead was done by a clock that has been set back since: it goes on from now.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(1);

/// Hours before now in which the last time that passed is looked for.
const SHORTLY: [i64; 3] = [1, 24, 32 * 24];

/// A time that a job is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// When it was due.
    pub due_at: Timestamp,
    /// The same for every attempt at this time.
    pub id: Uuid,
}

impl Occurrence {
    /// The inbox row to commit with the effect, so that it is there once. It is pruned as those of messages are.
    #[must_use]
    pub fn inbox(&self) -> InboxEntry {
        InboxEntry::passing("job", self.id)
    }
}

/// Work that recurs by a schedule, in one process at a time: the one that holds its lease.
///
/// Each time it is due it is tried until it succeeds or is rejected. Times that passed meanwhile, or while no process ran, count
/// as one: the last of them. A new job is first due at its next time. Survives a crash: what was done, as a row. May repeat: an
/// attempt that a crash or a lost lease interrupted; its effect is there once when it commits [`Occurrence::inbox`]. A panic is
/// a failure like any other.
///
/// The times are those of the process's clock. Set forward it makes times pass, which count as one; set back by less than an
/// hour the job waits until it is later again, and by more it goes on from then.
pub struct Job {
    name: &'static str,
    schedule: Schedule,
    db: Db,
    leases: Leases,
    attempt_timeout: Duration,
    meters: Option<Meters>,
}

/// How attempts ended, and what the job was last done for.
struct Meters {
    attempts: Family<Outcome, Counter>,
    done: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    job: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Named {
    job: &'static str,
}

impl Job {
    /// A job of the module whose store that is. The name is the same for ever.
    #[must_use]
    pub fn new(name: &'static str, schedule: Schedule, db: Db) -> Self {
        let leases = Leases::new(db.clone());
        Self {
            name,
            schedule,
            db,
            leases,
            attempt_timeout: ATTEMPT_TIMEOUT,
            meters: None,
        }
    }

    /// Counts its attempts: `stanchion_job_attempts_total{job,outcome}`, of which `rejected` ones gave a time up, and
    /// `stanchion_job_done_timestamp_seconds{job}`, the time that it was last done for. In the process that holds its lease; the
    /// others say 0, so the greatest counts.
    #[must_use]
    pub fn metrics(mut self, metrics: &Metrics) -> Self {
        let job = self.name;
        let done = metrics.gauge_family::<Named>(
            "stanchion_job_done_timestamp_seconds",
            "The time that a recurring job was last done for, where it runs.",
        );
        self.meters = Some(Meters {
            attempts: metrics.counter_family(
                "stanchion_job_attempts_total",
                "Attempts at recurring jobs, by how they ended.",
            ),
            done: done.get_or_create(&Named { job }).clone(),
        });
        self
    }

    /// How long one attempt may take; default 10 min. One that takes longer is dropped at its next wait and counts as failed.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Runs whenever and as long as this process holds the lease, until told to stop. An attempt that is then running is
    /// dropped at its next wait.
    pub async fn run<F, W>(self, work: F, stop: CancellationToken)
    where
        F: Fn(Occurrence) -> W,
        W: Future<Output = Result<(), HandlerError>>,
    {
        let (job, work) = (&self, &work);
        let hold = |lease: Lease, held: CancellationToken| async move {
            tokio::select! {
                biased;
                () = held.cancelled() => job.show_done(None),
                ended = job.follow(&lease, work) => if let Err(error) = ended {
                    warn!(job = job.name, %error, "a job waits for its store");
                }
            }
        };
        let name = format!("job/{}", self.name);
        self.leases.hold(&name, LEASE, &stop, hold).await;
        self.show_done(None);
    }

    async fn follow<F, W>(&self, lease: &Lease, work: &F) -> Result<(), SqlError>
    where
        F: Fn(Occurrence) -> W,
        W: Future<Output = Result<(), HandlerError>>,
    {
        let Some(mut done_for) = self.begin(lease).await? else {
            return Ok(());
        };
        self.show_done(Some(done_for));
        while let Some(due_at) = self.due(done_for).await {
            let name = format!("{}/{due_at}", self.name);
            let id = id::derived(&Uuid::NAMESPACE_OID, name.as_bytes());
            self.attempt(Occurrence { due_at, id }, work).await;
            if !self.finish(lease, due_at).await? {
                return Ok(());
            }
            done_for = due_at;
            self.show_done(Some(done_for));
        }
        // A schedule without a next time.
        std::future::pending().await
    }

    /// Sleeps until the time after `done_for`; gives the last one that has passed then.
    async fn due(&self, mut done_for: Timestamp) -> Option<Timestamp> {
        let (passed, now) = loop {
            let now = clock::now();
            if done_for.duration_since(now) > AHEAD_MAX {
                warn!(job = self.name, %done_for, "the clock was set back: the job goes on from now");
                done_for = now;
            }
            let next = self.schedule.next(done_for)?;
            let left = next.duration_since(now);
            if left <= SignedDuration::ZERO {
                break (next, now);
            }
            let left = Duration::try_from(left).unwrap_or(LOOK);
            tokio::time::sleep(left.min(LOOK)).await;
        };
        Some(last_passed(&self.schedule, passed, now))
    }

    async fn attempt<F, W>(&self, occurrence: Occurrence, work: &F)
    where
        F: Fn(Occurrence) -> W,
        W: Future<Output = Result<(), HandlerError>>,
    {
        let mut wait = BACKOFF_BASE;
        loop {
            let ended = self.attempt_once(occurrence, work).await;
            self.count(&ended);
            match ended {
                Ok(()) => return info!(job = self.name, due_at = %occurrence.due_at, "job done"),
                Err(HandlerError::Rejected(reason)) => {
                    tracing::error!(job = self.name, due_at = %occurrence.due_at, reason, "job given up");
                    return;
                }
                Err(error) => {
                    warn!(job = self.name, due_at = %occurrence.due_at, %error, "job is tried again")
                }
            }
            tokio::time::sleep(wait / 2 + stanchion_runtime::random::jitter(wait / 2)).await;
            wait = (wait * 2).min(BACKOFF_MAX);
        }
    }

    async fn attempt_once<F, W>(&self, occurrence: Occurrence, work: &F) -> Result<(), HandlerError>
    where
        F: Fn(Occurrence) -> W,
        W: Future<Output = Result<(), HandlerError>>,
    {
        let bound = self.attempt_timeout;
        // A panic before its first wait is the attempt's own as well: it must not end the worker, and with it the service.
        let attempt = AssertUnwindSafe(async { work(occurrence).await }).catch_unwind();
        match tokio::time::timeout(bound, attempt).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_panic)) => Err(HandlerError::Failed("the attempt panicked".into())),
            Err(_) => Err(HandlerError::Failed(format!(
                "the attempt took longer than {bound:?}"
            ))),
        }
    }

    fn count(&self, ended: &Result<(), HandlerError>) {
        let Some(meters) = &self.meters else { return };
        let outcome = match ended {
            Ok(()) => "done",
            Err(HandlerError::Rejected(_)) => "rejected",
            Err(_) => "failed",
        };
        let job = self.name;
        meters
            .attempts
            .get_or_create(&Outcome { job, outcome })
            .inc();
    }

    /// `None`: another process may do it now.
    fn show_done(&self, done_for: Option<Timestamp>) {
        if let Some(meters) = &self.meters {
            meters.done.set(done_for.map_or(0, Timestamp::as_second));
        }
    }

    /// The time it was last done for; from now on no older token writes. `None`: this one is too old already.
    async fn begin(&self, lease: &Lease) -> Result<Option<Timestamp>, SqlError> {
        let sql = "insert into job (name, token, done_for) values ($1, $2, $3) \
                   on conflict (name) do update set token = excluded.token \
                   where job.token <= excluded.token returning done_for";
        let params = params![self.name, lease.token(), clock::now()];
        let row = self.db.opt(sql, params).await?;
        row.map(|row| row.get(0)).transpose()
    }

    async fn finish(&self, lease: &Lease, due_at: Timestamp) -> Result<bool, SqlError> {
        let sql = "update job set done_for = $3 where name = $1 and token = $2";
        let params = params![self.name, lease.token(), due_at];
        Ok(self.db.exec(sql, params).await? == 1)
    }
}

/// The last time up to now, where `passed` is one. Looked for from shortly before now on, unless there is none: what was
/// missed in a year may be millions.
fn last_passed(schedule: &Schedule, passed: Timestamp, now: Timestamp) -> Timestamp {
    let next = |after| schedule.next(after).filter(|next| *next <= now);
    let shortly = SHORTLY.iter().find_map(|hours| {
        let before = now.checked_sub(SignedDuration::from_hours(*hours));
        next(before.ok()?)
    });
    let mut last = shortly.map_or(passed, |shortly| shortly.max(passed));
    while let Some(later) = next(last) {
        last = later;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_was_missed_the_last_time_is_found_however_much_it_is() {
        for (schedule, passed, now, expected) in [
            (
                "every 1s",
                "1996-01-01T00:00:00Z",
                "2026-11-20T12:00:00.5Z",
                "2026-11-20T12:00:00Z",
            ),
            (
                "every 2h",
                "2026-11-20T10:00:00Z",
                "2026-11-20T11:59:00Z",
                "2026-11-20T10:00:00Z",
            ),
            (
                "* * * * *",
                "2025-01-01T00:00:00Z",
                "2026-11-20T12:00:00Z",
                "2026-11-20T12:00:00Z",
            ),
            (
                "0 3 * * *",
                "2026-11-01T03:00:00Z",
                "2026-11-20T02:59:00Z",
                "2026-11-19T03:00:00Z",
            ),
            (
                "0 0 1 * *",
                "2026-09-01T00:00:00Z",
                "2026-11-20T12:00:00Z",
                "2026-11-01T00:00:00Z",
            ),
            (
                "0 0 29 2 *",
                "2020-02-29T00:00:00Z",
                "2026-11-20T12:00:00Z",
                "2024-02-29T00:00:00Z",
            ),
        ] {
            let found = last_passed(
                &schedule.parse().unwrap(),
                passed.parse().unwrap(),
                now.parse().unwrap(),
            );
            assert_eq!(found.to_string(), expected, "{schedule}");
        }
    }
}
