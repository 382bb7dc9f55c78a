//! The log's statements on PostgreSQL, sent as packets: everything of a batch is on its way before the first answer.

mod columns;
mod looks;
mod texts;

use std::fmt;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use stanchion_messaging::LogId;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::columns::{Column, Columns};
pub(super) use self::looks::look_on;
use self::looks::{HEAD, Looks, Questions, facts_in};
pub(super) use self::texts::TOUCH;
use self::texts::{
    BEGIN, CLAIMS, EVENTS, KEYS, LEAVE_HEAD, NAMES, NOTIFY, TIMERS_CLEARED, TIMERS_SET, WRITE,
};
use super::plan::{Facts, Verdict};
use super::ready::Ready;
use super::writes::Writes;
use crate::SqlError;
use crate::postgres::{Driver, Postgres, pipeline, sql_error};

/// Why a packet did not do what it should.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection is gone; what was sent may have been committed.
    Lost(String),
    /// Refused: nothing was written.
    Refused(SqlError),
}

/// The committer's own connection.
pub(super) struct Packets {
    client: Client,
    /// Ends the connection with this: nobody waits on a socket of which nothing comes.
    _open: DropGuard,
    statements: Statements,
    /// The longest time a packet may take; then the connection counts as lost.
    longest: Duration,
    at_once: bool,
    /// Where the log's growth is told; `None` where nobody is to be told.
    channel: Option<String>,
}

struct Statements {
    write: Statement,
    events: Statement,
    head: Statement,
    names: Statement,
    keys: Statement,
    claims: Statement,
    timers_set: Statement,
    timers_cleared: Statement,
    looks: Looks,
    notify: Statement,
}

type Answers = Result<Vec<Row>, tokio_postgres::Error>;
type Step<'a> = BoxFuture<'a, Answers>;

/// The channel on which a log's growth is told.
pub(super) fn channel(log: LogId) -> String {
    format!("stanchion_{}", log.0.simple())
}

impl Packets {
    /// Connects; refuses a server that could lose what was acknowledged. What comes with it drives the connection, and
    /// ends with it.
    pub(super) async fn open(
        postgres: &Postgres,
    ) -> Result<(Self, BoxFuture<'static, ()>), SqlError> {
        if postgres.is_closed() {
            return Err(SqlError::Unavailable("the database is closed".into()));
        }
        let (client, mut driver) = postgres.dial().driven("log").await?;
        // What comes over it may be another log than the pool's connections, made before, still show.
        postgres.connected_anew();
        let (statements, log) = driver.during(set_up(&client, postgres)).await?;
        let settings = postgres.settings();
        let open = CancellationToken::new();
        let closed = open.clone();
        let packets = Self {
            client,
            _open: open.drop_guard(),
            statements,
            longest: settings.statement_timeout + settings.lock_timeout,
            at_once: settings.pipelining,
            channel: log.filter(|_| settings.listen).map(channel),
        };
        Ok((packets, Box::pin(drive(driver, closed))))
    }

    /// Whether the connection is known to be gone.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether two packets may be under way.
    pub(super) fn is_pipelined(&self) -> bool {
        self.at_once
    }

    /// Begin, lock, rows, commit in one packet; the position before the first event.
    pub(super) async fn write(&self, writes: &Writes<'_>, at: Timestamp) -> Result<i64, Trouble> {
        if let Some(columns) = Columns::together(writes, at) {
            let write = query(&self.client, &self.statements.write, &columns);
            let mut steps = vec![write];
            steps.extend(self.hint(None));
            return base_in(self.send(steps).await?.first());
        }
        let columns = Columns::of(writes, at);
        let mut steps = vec![self.simple(BEGIN)];
        steps.extend(self.rows(&columns));
        if self.channel.is_some() {
            steps.push(self.simple(LEAVE_HEAD));
        }
        steps.push(self.simple("commit"));
        steps.extend(self.hint(None));
        base_in(self.send(steps).await?.get(1))
    }

    /// Lock and look in one packet, decide, rows and commit in a second one.
    pub(super) async fn check_and_write(
        &self,
        batch: &[&Ready],
        at: Timestamp,
    ) -> Result<(Vec<Verdict>, i64), Trouble> {
        let questions = Questions::about(batch);
        let mut steps = vec![self.simple(BEGIN)];
        steps.extend(questions.steps(&self.client, &self.statements.looks, true));
        let answers = match self.send(steps).await {
            Ok(answers) => answers,
            Err(refused) => return Err(self.undo(refused).await),
        };
        let facts = match facts_in(answers.get(1..).unwrap_or_default()) {
            Ok(facts) => facts,
            Err(error) => return Err(self.undo(Trouble::Refused(error)).await),
        };
        let verdicts = facts.verdicts(batch.iter().copied());
        let writes = Writes::of(batch.iter().copied(), &verdicts);
        let columns = Columns::of(&writes, at);
        let mut steps: Vec<Step<'_>> = Vec::new();
        if !writes.is_empty() {
            steps.extend(self.rows(&columns));
        }
        if verdicts.iter().any(Verdict::rests_on_earlier_rows) {
            steps.push(self.simple(TOUCH));
        }
        steps.push(self.simple("commit"));
        if !writes.is_empty() {
            let head = facts.head + writes.events.len() as i64;
            steps.extend(self.hint(Some(head)));
        }
        self.send(steps).await?;
        Ok((verdicts, facts.head))
    }

    /// Looks without the lock: what is there stays there.
    pub(super) async fn look(&self, batch: &[&Ready]) -> Result<Facts, Trouble> {
        let questions = Questions::about(batch);
        let steps = questions.steps(&self.client, &self.statements.looks, false);
        let answers = self.send(steps).await?;
        facts_in(&answers).map_err(Trouble::Refused)
    }

    /// Tells whoever listens that the log has come this far: a hint, so its failure is nobody's.
    pub(super) async fn notify(&self, head: i64) {
        if let Some(told) = self.tell(Some(head)) {
            let _ = tokio::time::timeout(self.longest, told).await;
        }
    }

    /// The same as a packet's last step: at the server it follows the commit at once, and nobody waits for its answer.
    /// Without a head it tells what the packet's own rows came to.
    fn hint(&self, head: Option<i64>) -> Option<Step<'_>> {
        let mut told = self.tell(head)?;
        let at_once = self.at_once;
        Some(Box::pin(poll_fn(move |context| {
            let polled = told.poll_unpin(context);
            // Its first poll sends it.
            if at_once {
                Poll::Ready(Ok(Vec::new()))
            } else {
                polled
            }
        })))
    }

    fn tell(&self, head: Option<i64>) -> Option<Step<'_>> {
        let channel = self.channel.as_ref()?;
        let (client, statement) = (&self.client, &self.statements.notify);
        let told = async move {
            let head = head.map(|head| head.to_string());
            let _ = client.query(statement, &[channel, &head]).await;
            Ok(Vec::new())
        };
        Some(told.boxed())
    }

    async fn undo(&self, trouble: Trouble) -> Trouble {
        if matches!(trouble, Trouble::Refused(_))
            && let Err(lost) = self.send(vec![self.simple("rollback")]).await
        {
            return lost;
        }
        trouble
    }

    async fn send(&self, steps: Vec<Step<'_>>) -> Result<Vec<Vec<Row>>, Trouble> {
        let answers = tokio::time::timeout(self.longest, pipeline(steps, self.at_once)).await;
        judge(answers.map_err(|_| Trouble::Lost("no answer in time".into()))?)
    }

    fn simple<'a>(&'a self, sql: &'static str) -> Step<'a> {
        let done = self.client.batch_execute(sql);
        done.map(|done| done.map(|()| Vec::new())).boxed()
    }

    /// The first one tells the position before the batch.
    fn rows<'a>(&'a self, columns: &'a Columns<'_>) -> Vec<Step<'a>> {
        let (all, columns) = (&self.statements, &columns.0);
        let statements = [
            &all.events,
            &all.names,
            &all.keys,
            &all.claims,
            &all.timers_set,
            &all.timers_cleared,
        ];
        let mut steps = Vec::new();
        for (index, (statement, columns)) in statements.into_iter().zip(columns).enumerate() {
            match columns {
                Some(columns) => steps.push(query(&self.client, statement, columns)),
                None if index == 0 => steps.push(query(&self.client, &all.head, &[])),
                None => {}
            }
        }
        steps
    }
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            write: client.prepare(WRITE).await?,
            events: client.prepare(EVENTS).await?,
            head: client.prepare(HEAD).await?,
            names: client.prepare(NAMES).await?,
            keys: client.prepare(KEYS).await?,
            claims: client.prepare(CLAIMS).await?,
            timers_set: client.prepare(TIMERS_SET).await?,
            timers_cleared: client.prepare(TIMERS_CLEARED).await?,
            looks: Looks::prepare(client).await?,
            notify: client.prepare(NOTIFY).await?,
        })
    }
}

/// The session of the committer's connection, its statements, and which log is there.
async fn set_up(
    client: &Client,
    postgres: &Postgres,
) -> Result<(Statements, Option<LogId>), SqlError> {
    let failed = |error| sql_error(&error, "prepare");
    // No statement timeout: it would cut a COMMIT short that waits for its replica, which then counts as done.
    // Plans are made once, on tables that may still be empty.
    client
        .batch_execute(
            "set statement_timeout = 0; set plan_cache_mode = force_generic_plan; \
             set enable_seqscan = off; set jit = off",
        )
        .await
        .map_err(failed)?;
    if !postgres.settings().allow_unsafe_durability {
        super::durability::refuse_less(client).await?;
    }
    let statements = Statements::prepare(client).await.map_err(failed)?;
    // Asked anew with each connection: what is there now may be another log.
    let found = client.query_opt("select id from feed", &[]).await;
    let log = found.map_err(failed)?.map(|row| LogId(row.get(0)));
    Ok((statements, log))
}

async fn drive(driver: Driver, closed: CancellationToken) {
    tokio::select! {
        () = driver => {}
        () = closed.cancelled() => {}
    }
}

fn base_in(answer: Option<&Vec<Row>>) -> Result<i64, Trouble> {
    let row = answer.and_then(|rows| rows.first());
    let base = row.map(|row| row.try_get(0));
    // Committed without telling where: the events' ids will.
    base.and_then(Result::ok)
        .ok_or_else(|| Trouble::Lost("the answer has no position".into()))
}

/// A lost connection leaves the outcome open; any refusal made the commit a rollback.
fn judge(answers: Vec<Answers>) -> Result<Vec<Vec<Row>>, Trouble> {
    let lost = answers.iter().find_map(|answer| match answer {
        Err(error) if is_lost(error) => Some(error.to_string()),
        _ => None,
    });
    if let Some(reason) = lost {
        return Err(Trouble::Lost(reason));
    }
    let answers: Result<Vec<_>, _> = answers.into_iter().collect();
    answers.map_err(|error| Trouble::Refused(sql_error(&error, "append")))
}

/// Anything but a plain refusal by a server that goes on with this connection.
fn is_lost(error: &tokio_postgres::Error) -> bool {
    let Some(db) = error.as_db_error() else {
        return true;
    };
    let ends = matches!(db.severity(), "FATAL" | "PANIC");
    ends || ["57P", "08"]
        .iter()
        .any(|class| db.code().code().starts_with(class))
}

fn query<'a>(client: &'a Client, statement: &'a Statement, columns: &'a [Column<'a>]) -> Step<'a> {
    async move {
        let mut params: Vec<&(dyn ToSql + Sync)> = Vec::with_capacity(columns.len());
        params.extend(columns.iter().map(|column| column as &(dyn ToSql + Sync)));
        client.query(statement, &params).await
    }
    .boxed()
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(reason) => write!(f, "the connection was lost: {reason}"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}
