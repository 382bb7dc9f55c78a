//! An append that inline projections want: a transaction of its own, as a unit of work has.

use std::sync::Arc;
use std::time::Duration;

use stanchion_eventsourcing::{Append, AppendError};
use stanchion_runtime::{random, task};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::committer::append_error;
use super::plan::Answer;
use super::queue::JOBS_MAX;
use super::state::LogCounts;
use super::unit;
use crate::{Db, SqlError, WorkError};

/// How many are under way at once: they wait for the same rows, each with a connection in its hands.
const AT_ONCE: usize = 2;

/// How often one that collided with somebody's locks is repeated, with the same event ids.
const COLLISIONS_MAX: u32 = 5;

/// The pause before another attempt, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// Where such appends wait for their turn.
pub(super) struct Turns {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(JOBS_MAX)),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Turns {
    /// Appends; begun, it runs to its answer whoever goes away.
    pub(super) async fn append(&self, db: &Db, append: Append) -> Answer {
        let shed = |_| {
            LogCounts::add(&db.log().counts.shed, 1);
            AppendError::Overloaded
        };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(shed)?;
        let (db, turns) = (db.clone(), Arc::clone(&self.turns));
        let running = task::spawn("log-append-inline", async move {
            let _place = place;
            one_by_one(&db, &turns, &append).await
        });
        running.await.unwrap_or(Err(AppendError::Unknown))
    }
}

async fn one_by_one(db: &Db, turns: &Semaphore, append: &Append) -> Answer {
    let end = Instant::now() + db.append_wait();
    let Ok(Ok(_turn)) = timeout_at(end, turns.acquire()).await else {
        LogCounts::add(&db.log().counts.shed, 1);
        return Err(AppendError::Overloaded);
    };
    let (mut in_doubt, mut collisions, mut pause) = (false, 0, PAUSE.0);
    loop {
        let done = unit::commit(db.begin(), vec![append.clone()]).await;
        let error = match done {
            Ok(Some(appended)) => return Ok(appended),
            Ok(None) => return Err(AppendError::Invalid("there was no event in it".into())),
            // What the log or a projection says after a look settles a doubt; that they cannot be asked does not.
            Err(WorkError::Log(refusal @ AppendError::Unavailable(_))) if !in_doubt => {
                return Err(refusal);
            }
            Err(WorkError::Log(AppendError::Unavailable(reason))) => SqlError::Unavailable(reason),
            Err(WorkError::Log(refusal)) => {
                if matches!(refusal, AppendError::Conflict { .. }) {
                    LogCounts::add(&db.log().counts.conflicts, 1);
                }
                return Err(refusal);
            }
            Err(WorkError::Store(error)) => error,
        };
        if matches!(error, SqlError::InDoubt(_)) && !in_doubt {
            LogCounts::add(&db.log().counts.in_doubt, 1);
            in_doubt = true;
        }
        collisions += u32::from(matches!(error, SqlError::Serialization(_)));
        let passes =
            error.is_retryable() || matches!(error, SqlError::InDoubt(_) | SqlError::Timeout(_));
        let again = passes && (in_doubt || collisions <= COLLISIONS_MAX);
        let over = db.postgres().is_some_and(|postgres| postgres.is_closed());
        if !again || over || Instant::now() + pause >= end {
            if in_doubt {
                LogCounts::add(&db.log().counts.unknown, 1);
                return Err(AppendError::Unknown);
            }
            return Err(append_error(&error));
        }
        tokio::time::sleep(pause / 2 + random::jitter(pause / 2)).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}
