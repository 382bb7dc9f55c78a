//! One task that gathers concurrent appends into one transaction and answers each alone.

mod batch;
mod landing;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use stanchion_runtime::random;
use tokio::time::{Instant, Sleep};

use self::batch::{Batch, Landed, Way};
pub(super) use self::landing::append_error;
use super::known::Mood;
use super::packets::Packets;
use super::plan::Answer;
use super::queue::{BATCH_EVENTS_MAX, Busy, Job, Queue};
use super::state::LogCounts;
use crate::sqlite::Sqlite;
use crate::{Db, SqlError};

/// How often waiting appends are looked through for those that waited too long.
const SWEEP_EVERY: Duration = Duration::from_millis(100);

/// The longest time one attempt to connect may take, with all that is prepared: the next one may find another server.
const OPEN_MAX: Duration = Duration::from_secs(15);

/// The longest pause between two attempts to connect.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Gathers, sends, answers; see [`Committer::run`].
pub(super) struct Committer {
    db: Db,
    queue: Arc<Queue>,
    line: Line,
    /// What is under way: batches, at most one attempt to connect, at most one hint; and what drives the connection.
    flight: FuturesUnordered<BoxFuture<'static, Landed>>,
    /// How many of them are batches.
    batches: usize,
    /// A batch that must be alone is among them.
    exclusive: bool,
    /// A hint is under way: what comes meanwhile is told by the next one.
    hinting: bool,
    busy: Busy,
    /// A batch that must be alone and waits for those under way.
    held: Option<Batch>,
    mood: Mood,
    /// The longest time an append waits.
    longest: Duration,
}

/// How the database is reached.
enum Line {
    Sqlite(Arc<Sqlite>),
    Up(Arc<Packets>),
    Down {
        reason: String,
        attempts: u32,
        connecting: bool,
    },
}

impl Committer {
    /// A committer for the store; on PostgreSQL it connects, which must succeed the first time.
    pub(super) async fn open(
        db: Db,
        queue: Arc<Queue>,
        longest: Duration,
    ) -> Result<Self, SqlError> {
        let (line, driver) = match db.postgres() {
            Some(postgres) => {
                let opened = tokio::time::timeout(OPEN_MAX, Packets::open(postgres)).await;
                let late = |_| Err(SqlError::Unavailable("the server does not answer".into()));
                let (packets, driver) = opened.unwrap_or_else(late)?;
                postgres.count_writer(true);
                (Line::Up(Arc::new(packets)), Some(driver))
            }
            None => (Line::Sqlite(Arc::clone(db.sqlite()?)), None),
        };
        let mut committer = Self {
            db,
            queue,
            line,
            flight: FuturesUnordered::new(),
            batches: 0,
            exclusive: false,
            hinting: false,
            busy: Busy::default(),
            held: None,
            mood: Mood::default(),
            longest,
        };
        if let Some(driver) = driver {
            committer.drive(driver);
        }
        Ok(committer)
    }

    /// The connection is driven in this task: its packets and answers wait for no other one.
    fn drive(&mut self, driver: BoxFuture<'static, ()>) {
        self.flight.push(Box::pin(async move {
            driver.await;
            Landed::Closed
        }));
    }

    /// Runs until the queue is closed and empty. Never interrupted between commit and answer.
    pub(super) async fn run(mut self) {
        let db = self.db.clone();
        let queue = Arc::clone(&self.queue);
        let mut sweep = Box::pin(tokio::time::sleep(SWEEP_EVERY));
        loop {
            self.start();
            if self.batches == 0 && self.held.is_none() && queue.is_done() {
                return;
            }
            let wanted = self.wanted();
            tokio::select! {
                biased;
                Some(landed) = self.flight.next(), if !self.flight.is_empty() => {
                    self.land(landed);
                    self.gather().await;
                }
                () = queue.wait_for(wanted) => self.gather().await,
                () = db.log().hint.notified(), if self.may_hint() => self.hint(),
                () = &mut sweep, if self.is_waited_for() => {
                    again(sweep.as_mut());
                    self.shed();
                }
            }
        }
    }

    fn may_hint(&self) -> bool {
        match &self.line {
            Line::Up(packets) => {
                !self.hinting && may_hint(packets.is_pipelined(), self.exclusive, self.batches)
            }
            // Nobody else has the database, or nobody can be told; the permit is kept.
            _ => false,
        }
    }

    /// Whoever is ready to append now, also one who was just answered, gets into the same transaction.
    async fn gather(&mut self) {
        if self.batches == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Starts what can be under way now.
    fn start(&mut self) {
        if !self.is_up() {
            return self.connect();
        }
        while !self.exclusive {
            let batch = match self.held.take() {
                None if self.has_room() => self.next(),
                held => held,
            };
            let Some(batch) = batch else { return };
            if batch.way == Way::Checked && self.batches > 0 {
                self.held = Some(batch);
                return;
            }
            self.launch(batch);
        }
    }

    /// A second batch goes only where a whole one waits: it would split batches otherwise.
    fn has_room(&self) -> bool {
        let two = matches!(&self.line, Line::Up(packets) if packets.is_pipelined());
        self.batches == 0 || (self.batches == 1 && two && self.queue.is_full_batch())
    }

    /// Whether an append may have to wait for longer than a batch.
    fn is_waited_for(&self) -> bool {
        self.batches > 0 || matches!(self.line, Line::Down { .. })
    }

    /// How many appends have to wait before it is worth to look again.
    fn wanted(&mut self) -> usize {
        match (self.is_up(), self.batches) {
            (true, 0) => 1,
            (true, 1) if !self.exclusive && !self.queue.is_full_batch() => BATCH_EVENTS_MAX,
            // What comes now is looked at when the next one lands.
            _ => usize::MAX,
        }
    }

    /// The next batch; what is known to be beaten leaves it and is looked at beside it.
    fn next(&mut self) -> Option<Batch> {
        let jobs = self.queue.take(&self.busy);
        if jobs.is_empty() {
            return None;
        }
        let fast = self.mood.is_fast();
        let asks_anyway = !matches!(&self.line, Line::Up(packets) if packets.is_pipelined());
        let known = &mut self.db.log().known.lock();
        let mut batches = Batch::sort(jobs, known, fast, asks_anyway).into_iter();
        let first = batches.next();
        // At most one more, and it only looks: it can go at once.
        self.held = batches.next();
        first
    }

    fn launch(&mut self, mut batch: Batch) {
        batch.incarnation = self.db.incarnation();
        self.batches += 1;
        self.exclusive = batch.way == Way::Checked;
        for job in &batch.jobs {
            self.busy.streams.insert(job.ready.key);
            self.busy
                .keys
                .extend(job.ready.inbox_key().map(str::to_owned));
        }
        let counts = &self.db.log().counts;
        match batch.way {
            Way::Fast => LogCounts::add(&counts.fast, 1),
            Way::Checked => LogCounts::add(&counts.checked, 1),
            Way::Look => {}
        }
        self.flight.push(match &self.line {
            Line::Sqlite(sqlite) => Box::pin(batch.on_sqlite(Arc::clone(sqlite))),
            Line::Up(packets) => Box::pin(batch.on_postgres(Arc::clone(packets))),
            Line::Down { reason, .. } => {
                let lost = reason.clone();
                Box::pin(async move { batch.lost(lost) })
            }
        });
    }

    fn is_up(&mut self) -> bool {
        let closed = match &self.line {
            Line::Up(packets) => packets.is_closed() || self.is_over(),
            Line::Down { .. } => return false,
            Line::Sqlite(_) => return true,
        };
        if closed {
            self.hang_up("the connection was closed".into());
        }
        !closed
    }

    /// Whether the database was closed on this side.
    fn is_over(&self) -> bool {
        let postgres = self.db.postgres();
        postgres.is_some_and(|postgres| postgres.is_closed())
    }

    /// Nothing that was learned over the lost connection counts any more: the next server may know less.
    fn hang_up(&mut self, reason: String) {
        if matches!(self.line, Line::Up(_)) {
            tracing::warn!(
                module = self.db.module(),
                reason,
                "the log's connection was lost"
            );
            self.db.log().known.lock().forget();
            self.db.log().tail.lock().clear();
            self.line = Line::Down {
                reason,
                attempts: 0,
                connecting: false,
            };
        }
        if let Some(held) = self.held.take() {
            self.queue.put_back(held.jobs);
        }
    }

    fn connect(&mut self) {
        let Line::Down {
            attempts,
            connecting,
            ..
        } = &mut self.line
        else {
            return;
        };
        // What is under way on the old connection fails first.
        if *connecting || self.batches > 0 {
            return;
        }
        *connecting = true;
        let pause = match *attempts {
            0 => Duration::ZERO,
            more => (Duration::from_millis(25) * 2u32.pow(more.min(8))).min(PAUSE_MAX),
        };
        let db = self.db.clone();
        self.flight.push(Box::pin(async move {
            tokio::time::sleep(pause / 2 + random::jitter(pause / 2)).await;
            let Some(postgres) = db.postgres() else {
                return Landed::Line(Err(SqlError::usage("not PostgreSQL")));
            };
            let opened = tokio::time::timeout(OPEN_MAX, Packets::open(postgres)).await;
            let late = |_| Err(SqlError::Unavailable("the server does not answer".into()));
            let opened = opened.unwrap_or_else(late);
            Landed::Line(opened.map(|(packets, driver)| (Arc::new(packets), driver)))
        }));
    }

    /// Tells other processes what units of work of this one committed.
    fn hint(&mut self) {
        if let Line::Up(packets) = &self.line {
            let packets = Arc::clone(packets);
            let head = *self.db.log().head().borrow();
            self.hinting = true;
            self.flight.push(Box::pin(async move {
                packets.notify(head.0).await;
                Landed::Hint
            }));
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        if let Some(postgres) = self.db.postgres() {
            postgres.count_writer(false);
        }
        // Nothing waits after a good end; after a bad one nobody must wait for ever.
        self.queue.abandon();
    }
}

/// Whether a hint can go over the connection now, which has a transaction of its own: never between the steps of
/// somebody's transaction, which one by one go over the same connection.
fn may_hint(pipelined: bool, exclusive: bool, batches: usize) -> bool {
    !exclusive && (pipelined || batches == 0)
}

fn again(sweep: std::pin::Pin<&mut Sleep>) {
    sweep.reset(Instant::now() + SWEEP_EVERY);
}

/// Tells whoever asked; one who went away does not want to know, and what is recorded stays recorded.
fn answer(job: Job, answer: Answer) {
    let _ = job.answer.send(answer);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_never_falls_into_somebodys_transaction() {
        // A whole packet is on its way before anything else can be sent.
        assert!(may_hint(true, false, 0) && may_hint(true, false, 2));
        // One that is alone looks first: its transaction is open between two packets.
        assert!(!may_hint(true, true, 1) && !may_hint(false, true, 1));
        // Without pipelining each statement waits for the answer of the one before.
        assert!(may_hint(false, false, 0) && !may_hint(false, false, 1));
    }
}
