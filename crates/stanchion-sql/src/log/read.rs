//! Reading the log: one SQL text for both databases.

use stanchion_eventsourcing::{Filter, LogError, Position, Recorded, StreamId, Version};

use super::rows::{self, Naming, Reader};
use crate::db::Backend;
use crate::{Db, Params, Query, SqlError, Tx, params};

/// Where entries are read: a [`Db`], straight from its driver's rows, or a [`Tx`], which sees its own ones.
pub(crate) trait Entries: Query {
    /// The entries of a statement, of which all but the columns is given; of one stream, where that is what it asks for.
    fn entries(
        &self,
        rest: &str,
        params: Params,
        of: Option<&StreamId>,
    ) -> impl Future<Output = Result<Vec<Recorded>, LogError>> + Send;
}

impl Entries for Db {
    async fn entries(
        &self,
        rest: &str,
        params: Params,
        of: Option<&StreamId>,
    ) -> Result<Vec<Recorded>, LogError> {
        let read = match self.backend() {
            Backend::Postgres(postgres) => {
                let naming = of.cloned().map_or_else(Naming::remembered, Naming::Of);
                let call = (self.statement(&select(&naming, rest)), params);
                let (mut reader, names) = (Reader::new(naming), &self.log().names);
                let incarnation = self.incarnation();
                let mut each = |row: &_| reader.postgres(row, &mut names.lock());
                match postgres.read(call, &mut each).await {
                    Ok(()) => name(self, reader, incarnation).await,
                    Err(error) => Err(error),
                }
            }
            Backend::Sqlite(sqlite) => {
                let naming = of.cloned().map_or(Naming::Joined, Naming::Of);
                let call = (self.statement(&select(&naming, rest)), params);
                let read = sqlite.read(move |conn| {
                    let mut reader = Reader::new(naming);
                    crate::sqlite::each(conn, &call, |row| reader.sqlite(row))?;
                    Ok(reader)
                });
                read.await
            }
        };
        read.map_err(unavailable)?.entries()
    }
}

impl Entries for Tx {
    async fn entries(
        &self,
        rest: &str,
        params: Params,
        of: Option<&StreamId>,
    ) -> Result<Vec<Recorded>, LogError> {
        let naming = of.cloned().map_or(Naming::Joined, Naming::Of);
        let rows = self.query(&select(&naming, rest), params).await;
        let mut reader = Reader::new(naming);
        let rows = rows.map_err(unavailable)?;
        rows.iter().for_each(|row| reader.row(row));
        reader.entries()
    }
}

fn select(naming: &Naming, rest: &str) -> String {
    let columns = rows::COLUMNS;
    match naming {
        Naming::Joined => format!(
            "select {columns}, s.name from event e join stream s on s.stream = e.stream {rest}"
        ),
        Naming::Of(_) | Naming::Remembered { .. } => {
            format!("select {columns} from event e {rest}")
        }
    }
}

/// Asks for the names of streams that are not remembered: they were committed with, or before, their first events.
async fn name(db: &Db, mut reader: Reader, incarnation: u64) -> Result<Reader, SqlError> {
    for keys in reader.unnamed().chunks(NAMES_MAX) {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let sql = "select stream, category, name from stream where stream = any($1::text::uuid[])";
        let list = format!("{{{}}}", keys.join(","));
        let found = db.query(sql, params![list]).await?;
        let mut names = db.log().names.lock();
        for row in &found {
            let stream = StreamId::new(row.get::<&str>(1)?, row.get::<&str>(2)?);
            names.keep(row.get(0)?, stream);
        }
    }
    let named = reader.name(&mut db.log().names.lock());
    if !named && db.incarnation() != incarnation {
        // Asked of another server than the entries, perhaps, which may know less.
        return Err(SqlError::Unavailable("the connections changed".into()));
    }
    Ok(reader)
}

/// Streams whose names are asked for at once; fewer than are remembered.
const NAMES_MAX: usize = 10_000;

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
    db: &Db,
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
    let rest = format!("where e.stream = $1 and {bound} limit $2");
    let limit = limit.min(ROWS_MAX) as i64;
    let params = params![stream.key(), limit, from];
    db.entries(&rest, params, Some(stream)).await
}

/// Entries after `after`, at most `limit`; fewer only where the log had no more.
pub(crate) async fn log(
    db: &impl Entries,
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
    db: &impl Entries,
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
    let rest = format!("where e.position > $1{wanted} order by e.position limit $2");
    db.entries(&rest, params, None).await
}

fn list_of(names: &[String], params: &mut Params) -> String {
    let first = params.len() + 1;
    params.extend(names.iter().map(|name| name.as_str().into()));
    let numbers = (first..=params.len()).map(|number| format!("${number}"));
    numbers.collect::<Vec<_>>().join(", ")
}

/// The log's last position.
pub(super) async fn head(db: &impl Query) -> Result<Position, SqlError> {
    let sql = "select coalesce(max(position), 0) from event";
    db.one(sql, params![]).await?.get(0)
}

pub(super) fn unavailable(error: SqlError) -> LogError {
    LogError::Unavailable(error.to_string())
}
