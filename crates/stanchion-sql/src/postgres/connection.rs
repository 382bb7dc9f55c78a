use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use stanchion_runtime::task;
use tracing::debug;

use super::failure::alone_error;
use super::server::Server;
use super::sql_error;
use super::work::{Call, Prepared, pipeline, prepare, read_alone, run, run_alone};
use crate::SqlError;
use crate::row::Outcome;

/// The longest time an abandoned connection may take to become clean; then it is closed instead.
const CLEAN_UP_MAX: Duration = Duration::from_secs(2);

/// A cancel request that comes after its statement ended may stop the rollback instead: the clean-up must survive that.
const ROLLBACKS_MAX: u32 = 3;

/// The most statements sent before their answers are awaited.
const PACKET_MAX: usize = 256;

/// What a connection is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing: it can go back to the pool.
    Clean,
    /// A statement that is its own transaction.
    Alone,
    /// A transaction is open, no statement runs.
    Open,
    /// A transaction is open and a statement runs.
    Busy,
    /// COMMIT or ROLLBACK is on its way, and must not be cancelled.
    Ending,
}

/// A pooled connection that is cleaned before anybody else gets it, or closed.
///
/// Every await below may be the last one: the state says before it what would have to be undone.
#[derive(Debug)]
pub(crate) struct Connection {
    object: Option<Object>,
    server: Arc<Server>,
    state: State,
    pipelining: bool,
}

impl Connection {
    pub(super) fn new(object: Object, server: Arc<Server>, pipelining: bool) -> Self {
        Self {
            object: Some(object),
            server,
            state: State::Clean,
            pipelining,
        }
    }

    /// Runs one statement as its own transaction. A plan that a changed table made stale was refused before it
    /// did anything, so the statement is prepared anew.
    pub(super) async fn run_alone(&mut self, call: Call) -> Result<Outcome, SqlError> {
        self.state = State::Alone;
        let mut outcome = self.run_once(call.clone()).await;
        if matches!(outcome, Err(SqlError::Serialization(_))) && self.forgot_plans()? {
            outcome = self.run_once(call).await;
        }
        self.state = State::Clean;
        outcome
    }

    /// Gives each row of a statement that only reads to `each`, as the driver has it; otherwise as
    /// [`Connection::run_alone`].
    pub(super) async fn read(
        &mut self,
        call: Call,
        each: &mut (dyn FnMut(&tokio_postgres::Row) + Send),
    ) -> Result<(), SqlError> {
        self.state = State::Alone;
        let mut read = self.read_once(call.clone(), each).await;
        if matches!(read, Err(SqlError::Serialization(_))) && self.forgot_plans()? {
            read = self.read_once(call, each).await;
        }
        self.state = State::Clean;
        read
    }

    /// Runs a script of statements without parameters; the server makes one transaction of it.
    pub(super) async fn script(&mut self, sql: &str) -> Result<(), SqlError> {
        if self.object()?.is_closed() {
            return Err(SqlError::Unavailable("the connection was closed".into()));
        }
        self.state = State::Alone;
        let done = self.object()?.batch_execute(sql).await;
        self.state = State::Clean;
        done.map_err(|error| alone_error(&error, sql, true))
    }

    /// Runs the calls in order within a transaction, which begins with the first; the last one's outcome.
    pub(crate) async fn run(&mut self, calls: Vec<Call>) -> Result<Outcome, SqlError> {
        let begin = self.state == State::Clean;
        // A transaction that was not begun has nothing to undo, but a running PREPARE must be waited for.
        self.state = if begin { State::Alone } else { State::Busy };
        let prepared = match prepare(self.object()?, calls).await {
            Ok(prepared) => prepared,
            Err(error) => {
                self.state = if begin { State::Clean } else { State::Open };
                return Err(error);
            }
        };
        self.state = State::Busy;
        let outcome = self.send(begin, &prepared).await;
        self.state = State::Open;
        outcome
    }

    /// Runs the calls and commits, in one packet if they are not very many; the last call's outcome. `looked_at` says that somebody
    /// used the connection directly: an error they ignored must not turn COMMIT into a silent ROLLBACK.
    pub(crate) async fn commit(
        &mut self,
        calls: Vec<Call>,
        looked_at: bool,
    ) -> Result<Outcome, SqlError> {
        let begin = self.state == State::Clean;
        if begin && calls.is_empty() {
            return Ok(Outcome::default());
        }
        self.state = if begin { State::Alone } else { State::Busy };
        let prepared = match prepare(self.object()?, calls).await {
            Ok(prepared) => prepared,
            Err(error) => {
                self.state = if begin { State::Clean } else { State::Open };
                return Err(error);
            }
        };
        self.state = State::Ending;
        let committed = match prepared.as_slice() {
            // Its own transaction, without the two messages around it; the statement's bound does not hold for its commit.
            [only] if begin && !looked_at => run_alone(self.object()?, only, true).await,
            _ => self.send_and_commit(begin, &prepared, looked_at).await,
        };
        // A failed statement made COMMIT a ROLLBACK; a failed COMMIT ended the transaction as well.
        self.state = State::Clean;
        committed
    }

    /// Undoes everything since the transaction began.
    pub(crate) async fn roll_back(&mut self) -> Result<(), SqlError> {
        if self.state == State::Clean {
            return Ok(());
        }
        self.state = State::Ending;
        let done = self.object()?.batch_execute("rollback").await;
        self.state = State::Clean;
        done.map_err(|error| sql_error(&error, "rollback"))
    }

    /// Says that the driver's client is used: what it does is not seen, so it counts as busy to the end.
    pub(crate) fn expose(&mut self) {
        self.state = State::Busy;
    }

    /// The driver's client.
    pub(crate) fn client(&mut self) -> Option<&mut tokio_postgres::Client> {
        self.object.as_mut().map(|object| &mut ***object)
    }

    async fn run_once(&self, call: Call) -> Result<Outcome, SqlError> {
        let prepared = prepare(self.object()?, vec![call]).await?;
        match prepared.as_slice() {
            [only] => run_alone(self.object()?, only, only.may_write()).await,
            _ => Ok(Outcome::default()),
        }
    }

    async fn read_once(
        &self,
        call: Call,
        each: &mut (dyn FnMut(&tokio_postgres::Row) + Send),
    ) -> Result<(), SqlError> {
        let prepared = prepare(self.object()?, vec![call]).await?;
        match prepared.as_slice() {
            [only] => read_alone(self.object()?, only, each).await,
            _ => Ok(()),
        }
    }

    /// Plans are forgotten when one of them turns out to be stale.
    fn forgot_plans(&self) -> Result<bool, SqlError> {
        Ok(self.object()?.statement_cache.size() == 0)
    }

    async fn send(&self, begin: bool, prepared: &[Prepared]) -> Result<Outcome, SqlError> {
        let client = self.object()?;
        let mut last = Outcome::default();
        let mut begin = begin;
        let mut rest = prepared;
        while begin || !rest.is_empty() {
            let (packet, later) = rest.split_at(rest.len().min(PACKET_MAX));
            let mut steps: Vec<BoxFuture<'_, Result<Outcome, SqlError>>> = Vec::new();
            if begin {
                steps.push(simple(client, "begin").boxed());
            }
            steps.extend(packet.iter().map(|call| run(client, call).boxed()));
            for answer in pipeline(steps, self.pipelining).await {
                last = answer?;
            }
            (begin, rest) = (false, later);
        }
        Ok(last)
    }

    async fn send_and_commit(
        &self,
        begin: bool,
        prepared: &[Prepared],
        looked_at: bool,
    ) -> Result<Outcome, SqlError> {
        let client = self.object()?;
        let mut begin = begin;
        let mut last = prepared;
        if prepared.len() > PACKET_MAX {
            let (first, rest) = prepared.split_at(prepared.len() - PACKET_MAX);
            if let Err(error) = self.send(begin, first).await {
                let _ = client.batch_execute("rollback").await;
                return Err(error);
            }
            (begin, last) = (false, rest);
        }
        let mut steps: Vec<BoxFuture<'_, Result<Outcome, SqlError>>> = Vec::new();
        if begin {
            steps.push(simple(client, "begin").boxed());
        }
        steps.extend(last.iter().map(|call| run(client, call).boxed()));
        if looked_at {
            steps.push(simple(client, "select 1").boxed());
        }
        // A COMMIT that is cut off in its wait for a synchronous replica counts as done, which it is not.
        steps.push(simple(client, "set local statement_timeout = 0").boxed());
        steps.push(simple(client, "commit").boxed());
        let place = usize::from(begin) + last.len();
        let mut outcomes = judge(pipeline(steps, self.pipelining).await)?;
        outcomes.truncate(place);
        Ok(outcomes.pop().unwrap_or_default())
    }

    fn object(&self) -> Result<&Object, SqlError> {
        let gone = || SqlError::Unavailable("the connection was given back".into());
        self.object.as_ref().ok_or_else(gone)
    }
}

/// The first error is the transaction's; only a COMMIT that was not answered leaves its outcome open.
fn judge(answers: Vec<Result<Outcome, SqlError>>) -> Result<Vec<Outcome>, SqlError> {
    // The last answer is COMMIT's. Only a broken connection leaves its outcome open; any other error
    // of its own (a deferred constraint, a serialization failure) is a refusal like a statement's.
    if let Some(Err(SqlError::Unavailable(reason))) = answers.last() {
        return Err(SqlError::InDoubt(reason.clone()));
    }
    answers.into_iter().collect()
}

async fn simple(client: &tokio_postgres::Client, sql: &str) -> Result<Outcome, SqlError> {
    let done = client.batch_execute(sql).await;
    done.map_err(|error| sql_error(&error, sql))?;
    Ok(Outcome::default())
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else {
            return;
        };
        if self.state == State::Clean {
            return;
        }
        // Without a runtime nothing can be awaited: closed, the server rolls back by itself.
        if tokio::runtime::Handle::try_current().is_err() {
            drop(Object::take(object));
            return;
        }
        let _detached = task::spawn(
            "postgres-clean-up",
            clean_up(object, Arc::clone(&self.server), self.state),
        );
    }
}

/// Gives the connection back once nothing runs on it and no transaction is open; else closes it.
async fn clean_up(object: Object, server: Arc<Server>, state: State) {
    let cleaned = tokio::time::timeout(CLEAN_UP_MAX, async {
        if matches!(state, State::Alone | State::Busy) && !server.cancel(&object).await {
            return false;
        }
        for _ in 0..ROLLBACKS_MAX {
            if object.batch_execute("rollback").await.is_ok() {
                return true;
            }
        }
        false
    })
    .await;
    if cleaned != Ok(true) {
        debug!("an abandoned connection did not become clean in time and was closed");
        drop(Object::take(object));
    }
}
