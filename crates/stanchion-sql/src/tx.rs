mod drivers;

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::db::Backend;
use crate::row::Outcome;
use crate::sqlite::Session;
use crate::{Db, Engine, Params, Query, Row, SqlError, postgres};

/// The most statements one transaction may queue.
const QUEUED_MAX: usize = 100_000;

/// How many rows one statement of [`Tx::queue_rows`] has.
const ROWS_PER_STATEMENT: [usize; 4] = [512, 64, 8, 1];

type Call = postgres::Call;

/// Several statements that happen wholly or not at all. Dropped, it is rolled back.
///
/// [`Tx::exec`] and [`Tx::query`] run now; [`Tx::queue`] waits for the next of them or for
/// [`Tx::commit`] and costs no round trip of its own. After an error nothing can be committed any more.
///
/// SQLite has one writer: from its first `exec` a transaction holds it, for at most
/// [`crate::DatabaseSettings::writer_hold`]. One that only reads and queues never does; its reads see the last
/// committed state, so check what they found again in the queued statements.
///
/// Cancel-safe: dropping any call's future makes the transaction fail and rolls it back; only a commit that was
/// sent runs to its end.
#[derive(Debug)]
pub struct Tx {
    db: Db,
    queued: parking_lot::Mutex<Vec<Call>>,
    state: Mutex<State>,
    finished: bool,
    replay: bool,
}

#[derive(Debug)]
enum State {
    Fresh,
    Sqlite(Session),
    Postgres {
        connection: Box<postgres::Connection>,
        /// Somebody used the driver's client.
        looked_at: bool,
    },
    Failed(SqlError),
}

impl Tx {
    pub(crate) fn new(db: Db) -> Self {
        Self {
            db,
            queued: parking_lot::Mutex::default(),
            state: Mutex::new(State::Fresh),
            finished: false,
            replay: false,
        }
    }

    /// Says whether it writes rows of a replay.
    pub(crate) fn replaying(mut self, replay: bool) -> Self {
        self.replay = replay;
        self
    }

    /// Whether a projection is being rebuilt or verified with it: the rows are not the live ones (yet), and the entries
    /// were applied before, so nothing that reaches the outside (a mail, a call) may be done.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.replay
    }

    /// All rows, after everything queued so far.
    ///
    /// # Errors
    /// See [`SqlError`]; also that of a queued statement.
    pub async fn query(&self, sql: &str, params: Params) -> Result<Vec<Row>, SqlError> {
        self.run(sql, params).await.map(|outcome| outcome.rows)
    }

    /// The row, if there is one.
    ///
    /// # Errors
    /// As [`Tx::query`]; [`SqlError::Decode`] when there are several.
    pub async fn opt(&self, sql: &str, params: Params) -> Result<Option<Row>, SqlError> {
        self.run(sql, params).await?.at_most_one()
    }

    /// The row.
    ///
    /// # Errors
    /// As [`Tx::query`]; [`SqlError::Decode`] when there is none or several.
    pub async fn one(&self, sql: &str, params: Params) -> Result<Row, SqlError> {
        Query::one(self, sql, params).await
    }

    /// Runs a statement now, after everything queued so far; how many rows it changed.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn exec(&self, sql: &str, params: Params) -> Result<u64, SqlError> {
        self.run(sql, params).await.map(|outcome| outcome.affected)
    }

    /// Defers a statement; its error is read by the next [`Tx::exec`], [`Tx::query`] or [`Tx::commit`].
    pub fn queue(&self, sql: &str, params: Params) {
        let call = (self.db.statement(sql), params);
        self.queued.lock().push(call);
    }

    /// Defers one statement for many rows: `insert` up to its word `values`, the rows' values, and what follows them.
    ///
    /// Sent as statements of 512, 64, 8 and 1 rows, so that few texts are prepared.
    ///
    /// ```
    /// # use stanchion_sql::{Db, params};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion_sql::SqlError> {
    /// # let db = Db::memory("bank")?;
    /// db.script("create table balances (account text primary key, cents bigint not null)").await?;
    /// let tx = db.begin();
    /// tx.queue_rows(
    ///     "insert into balances (account, cents) values",
    ///     vec![params!["a", 5], params!["b", 7]],
    ///     "on conflict (account) do update set cents = balances.cents + excluded.cents",
    /// );
    /// tx.commit().await?;
    /// # assert_eq!(db.query("select * from balances", params![]).await?.len(), 2);
    /// # Ok(()) }
    /// ```
    pub fn queue_rows(&self, insert: &str, rows: Vec<Params>, then: &str) {
        let mut rows = rows.into_iter();
        for size in ROWS_PER_STATEMENT {
            while rows.len() >= size {
                let some: Vec<Params> = rows.by_ref().take(size).collect();
                let mut number = 0;
                let mut places = |row: &Params| {
                    let places: Vec<String> = (0..row.len())
                        .map(|_| {
                            number += 1;
                            format!("${number}")
                        })
                        .collect();
                    format!("({})", places.join(", "))
                };
                let values: Vec<String> = some.iter().map(&mut places).collect();
                let sql = format!("{insert} {} {then}", values.join(", "));
                self.queue(&sql, some.into_iter().flatten().collect());
            }
        }
    }

    /// Lets the commit not wait for PostgreSQL's disk: after a crash of the server the last moments of such transactions
    /// may be missing, never one before another that is there. On SQLite it changes nothing.
    pub(crate) fn queue_unhurried(&self) {
        if self.db.engine() == Engine::Postgres {
            self.queue(
                "select set_config('synchronous_commit', 'off', true)",
                Params::new(),
            );
        }
    }

    /// Sends what is queued and commits: durable when it returns.
    ///
    /// # Errors
    /// Any earlier or queued statement failed: nothing happened. [`SqlError::InDoubt`]: the outcome is unknown.
    pub async fn commit(self) -> Result<(), SqlError> {
        self.commit_last().await.map(drop)
    }

    /// Commits; on PostgreSQL with the last queued statement's outcome.
    pub(crate) async fn commit_last(mut self) -> Result<Outcome, SqlError> {
        let calls = self.take_queued()?;
        let state = std::mem::replace(self.state.get_mut(), cancelled());
        let committed = match (state, self.db.backend()) {
            (State::Failed(error), _) => Err(failed_before(&error)),
            (State::Sqlite(session), _) => session.commit(calls).await.map(|()| Outcome::default()),
            (
                State::Postgres {
                    mut connection,
                    looked_at,
                },
                _,
            ) => connection.commit(calls, looked_at).await,
            (State::Fresh, _) if calls.is_empty() => Ok(Outcome::default()),
            (State::Fresh, Backend::Sqlite(sqlite)) => {
                sqlite.commit(calls).await.map(|()| Outcome::default())
            }
            (State::Fresh, Backend::Postgres(server)) => {
                server.connection().await?.commit(calls, false).await
            }
        };
        if committed.is_ok() {
            self.finished = true;
            self.db.counts().committed.fetch_add(1, Ordering::Relaxed);
        }
        committed
    }

    /// Undoes everything. Dropping does the same without waiting for it.
    ///
    /// # Errors
    /// The connection broke; the server rolls back by itself.
    pub async fn rollback(mut self) -> Result<(), SqlError> {
        match std::mem::replace(self.state.get_mut(), cancelled()) {
            State::Postgres { mut connection, .. } => connection.roll_back().await,
            _ => Ok(()),
        }
    }

    /// The database it runs on.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Whether anything was sent.
    pub(crate) async fn has_begun(&self) -> bool {
        !matches!(*self.state.lock().await, State::Fresh)
    }

    /// Runs what is queued, and begins the transaction in any case.
    pub(crate) async fn flush(&self) -> Result<(), SqlError> {
        let mut state = self.state.lock().await;
        let calls = self.take_queued()?;
        self.run_locked(&mut state, calls).await.map(drop)
    }

    async fn run(&self, sql: &str, params: Params) -> Result<Outcome, SqlError> {
        let call = (self.db.statement(sql), params);
        let mut state = self.state.lock().await;
        let mut calls = self.take_queued()?;
        if let (State::Fresh, true, Backend::Sqlite(sqlite)) =
            (&*state, calls.is_empty(), self.db.backend())
            && !call.0.writes()
            && let Some(outcome) = sqlite.run_read(call.clone()).await?
        {
            return Ok(outcome);
        }
        calls.push(call);
        self.run_locked(&mut state, calls).await
    }

    /// The state is `Failed` while something runs: a cancelled call leaves it so, and drops what it held.
    async fn run_locked(&self, state: &mut State, calls: Vec<Call>) -> Result<Outcome, SqlError> {
        match (std::mem::replace(state, cancelled()), self.db.backend()) {
            (State::Failed(error), _) => fail(state, error),
            (State::Sqlite(session), _) => {
                let outcome = session.run(calls).await;
                keep(state, State::Sqlite(session), outcome)
            }
            (
                State::Postgres {
                    mut connection,
                    looked_at,
                },
                _,
            ) => {
                let outcome = connection.run(calls).await;
                keep(
                    state,
                    State::Postgres {
                        connection,
                        looked_at,
                    },
                    outcome,
                )
            }
            (State::Fresh, Backend::Sqlite(sqlite)) => {
                let session = match sqlite.session().await {
                    Ok(session) => session,
                    Err(error) => return keep(state, State::Fresh, Err(error)),
                };
                let outcome = session.run(calls).await;
                keep(state, State::Sqlite(session), outcome)
            }
            (State::Fresh, Backend::Postgres(server)) => {
                let mut connection = match server.connection().await {
                    Ok(connection) => Box::new(connection),
                    Err(error) => return keep(state, State::Fresh, Err(error)),
                };
                let outcome = connection.run(calls).await;
                let begun = State::Postgres {
                    connection,
                    looked_at: false,
                };
                keep(state, begun, outcome)
            }
        }
    }

    fn take_queued(&self) -> Result<Vec<Call>, SqlError> {
        let calls = std::mem::take(&mut *self.queued.lock());
        if calls.len() > QUEUED_MAX {
            return Err(SqlError::Usage(format!(
                "more than {QUEUED_MAX} statements queued: commit in smaller steps"
            )));
        }
        Ok(calls)
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if !self.finished {
            let counts = self.db.counts();
            counts.rolled_back.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl Query for Tx {
    async fn query(&self, sql: &str, params: Params) -> Result<Vec<Row>, SqlError> {
        Tx::query(self, sql, params).await
    }

    async fn opt(&self, sql: &str, params: Params) -> Result<Option<Row>, SqlError> {
        Tx::opt(self, sql, params).await
    }

    async fn exec(&self, sql: &str, params: Params) -> Result<u64, SqlError> {
        Tx::exec(self, sql, params).await
    }
}

/// Puts the transaction back after a success; after an error it stays failed, and dropping it rolls back.
fn keep<T>(state: &mut State, begun: State, done: Result<T, SqlError>) -> Result<T, SqlError> {
    *state = match &done {
        Ok(_) => begun,
        Err(error) => State::Failed(error.clone()),
    };
    done
}

fn fail<T>(state: &mut State, error: SqlError) -> Result<T, SqlError> {
    let answer = failed_before(&error);
    *state = State::Failed(error);
    Err(answer)
}

/// What is said when a failed transaction is used further: the same kind, so that it can be retried as that.
fn failed_before(error: &SqlError) -> SqlError {
    match error {
        SqlError::Usage(reason) => {
            SqlError::Usage(format!("the transaction failed before: {reason}"))
        }
        other => other.clone(),
    }
}

fn cancelled() -> State {
    State::Failed(SqlError::usage("a call on it was cancelled"))
}
