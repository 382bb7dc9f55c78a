//! Reading the log: one SQL text for both databases.

use stanchion_eventsourcing::{Filter, LogError, Position, Recorded, StreamId, Version};

use super::rows;
use crate::{Params, Query, SqlError, params};

/// The most rows one read returns, whatever is asked.
pub(crate) const ROWS_MAX: usize = 10_000;

/// Positions one statement looks through for events of some types, which have no index: a bounded piece of work.
const WINDOW: i64 = 20_000;

/// A stream's events from a version on, or before and including one.
pub(super) enum Direction {
    Forward(Version),
    Backward(Option<Version>),
}

pub(super) async fn stream(
    db: &impl Query,
    stream: &StreamId,
    direction: &Direction,
    limit: usize,
) -> Result<Vec<Recorded>, LogError> {
    let (bound, from) = match direction {
        Direction::Forward(from) => ("e.version >= $3 order by e.version", *from),
        Direction::Backward(from) => (
            "e.version <= $3 order by e.version desc",
            from.unwrap_or(Version(i64::MAX)),
        ),
    };
    let sql = format!(
        "select {} from event e join stream s on s.stream = e.stream \
         where e.stream = $1 and {bound} limit $2",
        rows::COLUMNS
    );
    let limit = limit.min(ROWS_MAX) as i64;
    recorded(db, &sql, params![stream.key(), limit, from]).await
}

/// Entries after `after`, at most `limit`; fewer only where the log had no more.
pub(crate) async fn log(
    db: &impl Query,
    after: Position,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Recorded>, LogError> {
    let limit = limit.min(ROWS_MAX);
    if filter.types.is_empty() {
        return page(db, after, None, filter, limit).await;
    }
    let head = head(db).await.map_err(unavailable)?;
    let (mut found, mut after) = (Vec::new(), after);
    while after < head && found.len() < limit {
        let end = Position((after.0.saturating_add(WINDOW)).min(head.0));
        let left = limit - found.len();
        found.append(&mut page(db, after, Some(end), filter, left).await?);
        after = end;
    }
    Ok(found)
}

async fn page(
    db: &impl Query,
    after: Position,
    end: Option<Position>,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Recorded>, LogError> {
    let mut params = params![after, limit as i64];
    let mut wanted = String::new();
    if let Some(end) = end {
        params.push(end.into());
        wanted.push_str(" and e.position <= $3");
    }
    for (column, names) in [
        ("e.category", &filter.categories),
        ("e.type", &filter.types),
    ] {
        if !names.is_empty() {
            let list = list_of(names, &mut params);
            wanted.push_str(&format!(" and {column} in ({list})"));
        }
    }
    let sql = format!(
        "select {} from event e join stream s on s.stream = e.stream \
         where e.position > $1{wanted} order by e.position limit $2",
        rows::COLUMNS
    );
    recorded(db, &sql, params).await
}

fn list_of(names: &[String], params: &mut Params) -> String {
    let first = params.len() + 1;
    params.extend(names.iter().map(|name| name.as_str().into()));
    let numbers = (first..=params.len()).map(|number| format!("${number}"));
    numbers.collect::<Vec<_>>().join(", ")
}

async fn recorded(db: &impl Query, sql: &str, params: Params) -> Result<Vec<Recorded>, LogError> {
    let rows = db.query(sql, params).await.map_err(unavailable)?;
    rows.into_iter().map(rows::recorded).collect()
}

/// The log's last position.
pub(super) async fn head(db: &impl Query) -> Result<Position, SqlError> {
    let sql = "select coalesce(max(position), 0) from event";
    db.one(sql, params![]).await?.get(0)
}

pub(super) fn unavailable(error: SqlError) -> LogError {
    LogError::Unavailable(error.to_string())
}
