use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use tokio_postgres::Client;

use super::failure::{alone_error, is_stale_plan};
use super::sql_error;
use super::value::Found;
use crate::row::{Outcome, Row};
use crate::statement::Statement;
use crate::{Params, SqlError, Value};

/// Prepared statements kept by each connection.
const PREPARED_MAX: usize = 256;

/// A statement with its parameters.
pub(crate) type Call = (Arc<Statement>, Params);

/// A call whose statement the server knows.
pub(super) struct Prepared {
    call: Call,
    plan: tokio_postgres::Statement,
}

/// Prepares each call; in steady state the connection has seen them all and no packet is sent.
pub(super) async fn prepare(
    client: &deadpool_postgres::ClientWrapper,
    calls: Vec<Call>,
) -> Result<Vec<Prepared>, SqlError> {
    if client.statement_cache.size() > PREPARED_MAX {
        client.statement_cache.clear();
    }
    let mut prepared = Vec::with_capacity(calls.len());
    for call in calls {
        let plan = client.prepare_cached(&call.0.text).await;
        let plan = plan.map_err(|error| sql_error(&error, &call.0.text))?;
        prepared.push(Prepared { call, plan });
    }
    Ok(prepared)
}

pub(super) async fn run(
    client: &deadpool_postgres::ClientWrapper,
    prepared: &Prepared,
) -> Result<Outcome, SqlError> {
    let text = &prepared.call.0.text;
    let outcome = collected(client, prepared).await;
    outcome.map_err(|error| sql_error(&error, text))
}

impl Prepared {
    /// Whether something may be there when its answer is lost.
    pub(super) fn may_write(&self) -> bool {
        self.call.0.may_write()
    }
}

/// The statement as its own transaction; `writes` says that something may be there when its answer is lost.
pub(super) async fn run_alone(
    client: &deadpool_postgres::ClientWrapper,
    prepared: &Prepared,
    writes: bool,
) -> Result<Outcome, SqlError> {
    let statement = &prepared.call.0;
    if client.is_closed() {
        // Known before anything is sent: nothing happened.
        return Err(SqlError::Unavailable("the connection was closed".into()));
    }
    let outcome = collected(client, prepared).await;
    outcome.map_err(|error| alone_error(&error, &statement.text, writes))
}

/// Its rows one by one, as the driver has them, in a transaction of its own. A statement that only reads.
pub(super) async fn read_alone(
    client: &deadpool_postgres::ClientWrapper,
    prepared: &Prepared,
    each: &mut (dyn FnMut(&tokio_postgres::Row) + Send),
) -> Result<(), SqlError> {
    let (statement, params) = (&prepared.call.0, &prepared.call.1);
    let read = async {
        let stream = client.query_raw(&prepared.plan, params).await?;
        let mut stream = std::pin::pin!(stream);
        while let Some(row) = stream.try_next().await? {
            each(&row);
        }
        Ok(())
    };
    let read: Result<(), tokio_postgres::Error> = read.await;
    read.map_err(|error| {
        if is_stale_plan(&error) {
            client.statement_cache.clear();
        }
        alone_error(&error, &statement.text, false)
    })
}

async fn collected(
    client: &deadpool_postgres::ClientWrapper,
    prepared: &Prepared,
) -> Result<Outcome, tokio_postgres::Error> {
    let outcome = collect(client, prepared, &prepared.call.1).await;
    outcome.inspect_err(|error| {
        if is_stale_plan(error) {
            client.statement_cache.clear();
        }
    })
}

/// Awaits all in order after each was polled once: all packets are on their way before the first answer.
pub(crate) async fn pipeline<T>(mut steps: Vec<BoxFuture<'_, T>>, at_once: bool) -> Vec<T> {
    let mut answers: Vec<Option<T>> = steps.iter().map(|_| None).collect();
    if at_once {
        poll_fn(|context| {
            for (step, answer) in steps.iter_mut().zip(&mut answers) {
                if let Poll::Ready(early) = Pin::new(step).poll(context) {
                    *answer = Some(early);
                }
            }
            Poll::Ready(())
        })
        .await;
    }
    let mut all = Vec::with_capacity(steps.len());
    for (step, answer) in steps.into_iter().zip(answers) {
        all.push(match answer {
            Some(early) => early,
            None => step.await,
        });
    }
    all
}

async fn collect(
    client: &Client,
    prepared: &Prepared,
    params: &[Value],
) -> Result<Outcome, tokio_postgres::Error> {
    let stream = client.query_raw(&prepared.plan, params).await?;
    let mut stream = std::pin::pin!(stream);
    let mut columns: Option<Arc<[String]>> = None;
    let mut rows = Vec::new();
    while let Some(row) = stream.try_next().await? {
        let columns = columns.get_or_insert_with(|| {
            let names = row.columns().iter();
            names.map(|column| column.name().to_owned()).collect()
        });
        let values = (0..row.len()).map(|index| row.try_get(index).map(|Found(value)| value));
        let values = values.collect::<Result<_, _>>()?;
        rows.push(Row::new(Arc::clone(columns), values));
    }
    let affected = stream.rows_affected().unwrap_or(0);
    Ok(Outcome { rows, affected })
}
