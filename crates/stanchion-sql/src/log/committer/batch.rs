use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use stanchion_runtime::clock;
use tokio::time::Instant;

use crate::SqlError;
use crate::log::embedded;
use crate::log::known::Known;
use crate::log::packets::{Packets, Trouble};
use crate::log::plan::{Guess, Verdict, guess};
use crate::log::queue::{How, Job};
use crate::log::ready::Ready;
use crate::log::writes::Writes;
use crate::sqlite::Sqlite;

/// Appends that share a transaction, and how it goes.
pub(super) struct Batch {
    pub(super) jobs: Vec<Job>,
    pub(super) way: Way,
    /// The log's incarnation when it was sent.
    pub(super) incarnation: u64,
    /// On the fast way: what is written after which version.
    verdicts: Vec<Verdict>,
}

/// How a batch is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// With what is remembered, in one packet.
    Fast,
    /// With a look under the lock; nothing else may be under way.
    Checked,
    /// Not at all: they are beaten, and only the answer is looked for.
    Look,
}

/// What came back.
pub(super) enum Landed {
    Batch(Batch, Done),
    Line(Result<(Arc<Packets>, BoxFuture<'static, ()>), SqlError>),
    /// A connection has ended; whether it is the one in use is seen there.
    Closed,
    Hint,
}

/// How a batch ended.
pub(super) struct Done {
    pub(super) result: Result<(Vec<Verdict>, i64), Trouble>,
    pub(super) at: Timestamp,
    pub(super) began: Instant,
}

impl Batch {
    /// Decides which way each goes: one batch, and beside it one that only looks where that is not asked anyway.
    pub(super) fn sort(
        jobs: Vec<Job>,
        known: &mut Known,
        fast: bool,
        asks_anyway: bool,
    ) -> Vec<Self> {
        let fast = fast && jobs.iter().all(|job| job.how == How::Free);
        let guesses: Vec<Guess> = jobs.iter().map(|job| guess_of(job, known)).collect();
        let asks =
            |guess: &Guess| *guess == Guess::Unknown || (asks_anyway && *guess == Guess::Beaten);
        if !fast || guesses.iter().any(asks) {
            return vec![Self::new(jobs, Way::Checked)];
        }
        let mut go = Self::new(Vec::new(), Way::Fast);
        let mut look = Self::new(Vec::new(), Way::Look);
        for (job, guess) in jobs.into_iter().zip(guesses) {
            match guess {
                Guess::Fits { after } => {
                    go.verdicts.push(Verdict::Write { after });
                    go.jobs.push(job);
                }
                _ => look.jobs.push(job),
            }
        }
        let mut all = vec![look, go];
        all.retain(|batch| !batch.jobs.is_empty());
        all
    }

    fn new(jobs: Vec<Job>, way: Way) -> Self {
        Self {
            jobs,
            way,
            incarnation: 0,
            verdicts: Vec::new(),
        }
    }

    /// How many events it has.
    pub(super) fn events(&self) -> usize {
        self.jobs.iter().map(|job| job.ready.len()).sum()
    }

    pub(super) fn readies(&self) -> impl Iterator<Item = &Ready> {
        self.jobs.iter().map(|job| &job.ready)
    }

    pub(super) async fn on_postgres(mut self, packets: Arc<Packets>) -> Landed {
        let (began, at) = (Instant::now(), clock::now());
        let result = match self.way {
            Way::Fast => {
                let verdicts = std::mem::take(&mut self.verdicts);
                let writes = Writes::of(self.readies(), &verdicts);
                let base = packets.write(&writes, at).await;
                base.map(|base| (verdicts, base))
            }
            Way::Checked => {
                let all: Vec<&Ready> = self.readies().collect();
                packets.check_and_write(&all, at).await
            }
            Way::Look => {
                let all: Vec<&Ready> = self.readies().collect();
                let facts = packets.look(&all).await;
                facts.map(|facts| (facts.verdicts(all), facts.head))
            }
        };
        Landed::Batch(self, Done { result, at, began })
    }

    pub(super) async fn on_sqlite(self, sqlite: Arc<Sqlite>) -> Landed {
        let (began, at) = (Instant::now(), clock::now());
        // The writer gives the batch back whatever becomes of it; only its own end loses it.
        let shared = Arc::new(parking_lot::Mutex::new(Some(self)));
        let lent = Arc::clone(&shared);
        let result = sqlite
            .write(move |conn| {
                let mut batch = lent.lock();
                let Some(batch) = batch.as_mut() else {
                    return Err(SqlError::usage("the batch is gone"));
                };
                batch.write_on(conn, at)
            })
            .await;
        let batch = shared
            .lock()
            .take()
            .unwrap_or_else(|| Self::new(Vec::new(), Way::Look));
        let result = result.map_err(Trouble::Refused);
        Landed::Batch(batch, Done { result, at, began })
    }

    fn write_on(
        &mut self,
        conn: &rusqlite::Connection,
        at: Timestamp,
    ) -> Result<(Vec<Verdict>, i64), SqlError> {
        if self.way == Way::Fast {
            let verdicts = std::mem::take(&mut self.verdicts);
            let writes = Writes::of(self.readies(), &verdicts);
            let base = embedded::head(conn)?;
            embedded::write(conn, &writes, base, at)?;
            return Ok((verdicts, base));
        }
        let all: Vec<&Ready> = self.readies().collect();
        embedded::check_and_write(conn, &all, at)
    }

    /// Ends it as on a connection that was lost before anything was sent.
    pub(super) fn lost(self, reason: String) -> Landed {
        let result = Err(Trouble::Lost(reason));
        let (began, at) = (Instant::now(), clock::now());
        Landed::Batch(self, Done { result, at, began })
    }
}

fn guess_of(job: &Job, known: &mut Known) -> Guess {
    let append = &job.ready.append;
    guess(
        append.expected,
        append.events.len(),
        known.get(job.ready.key),
    )
}
