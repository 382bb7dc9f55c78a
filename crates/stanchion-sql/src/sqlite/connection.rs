use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags};
use tokio::time::Instant;

use super::Call;
use super::failure::sql_error;
use crate::row::{Outcome, Row};
use crate::{SqlError, Value};

/// Prepared statements kept by each connection.
const PREPARED_MAX: usize = 128;

/// After so many of SQLite's steps a running statement looks at its bounds.
const STEPS_BETWEEN_LOOKS: i32 = 2_000;

/// How long a connection waits for another process (a backup, a reader with a checkpoint).
const BUSY: Duration = Duration::from_secs(5);

/// The bounds of what a connection is running.
#[derive(Debug)]
pub(super) struct Watch {
    start: Instant,
    /// Microseconds after `start` when the running statement must end; the maximum for never.
    deadline: AtomicU64,
    abandoned: Mutex<Option<Arc<AtomicBool>>>,
}

impl Watch {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            deadline: AtomicU64::new(u64::MAX),
            abandoned: Mutex::new(None),
        })
    }

    pub(super) fn bound(&self, longest: Duration) {
        let deadline = self.start.elapsed().saturating_add(longest);
        let micros = u64::try_from(deadline.as_micros()).unwrap_or(u64::MAX);
        self.deadline.store(micros, Ordering::Relaxed);
    }

    pub(super) fn abandon_when(&self, flag: Option<Arc<AtomicBool>>) {
        *self.abandoned.lock() = flag;
    }

    fn must_stop(&self) -> bool {
        let late =
            self.start.elapsed().as_micros() > u128::from(self.deadline.load(Ordering::Relaxed));
        let abandoned = self.abandoned.lock();
        late || abandoned
            .as_ref()
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

pub(super) fn open_writer(
    path: &Path,
    temporary: bool,
) -> Result<(Connection, Arc<Watch>), SqlError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let (conn, watch) = open(path, flags)?;
    let synchronous = if temporary { "off" } else { "full" };
    conn.execute_batch(&format!(
        "pragma journal_mode = wal; pragma synchronous = {synchronous}; pragma foreign_keys = on;
         pragma wal_autocheckpoint = 0; pragma journal_size_limit = 67108864;"
    ))
    .map_err(|error| sql_error(error, ""))?;
    if !temporary {
        refuse_less_than_durable(&conn)?;
    }
    Ok((conn, watch))
}

/// From now on, as long as the connection lives.
pub(crate) fn overwrite_deleted(conn: &Connection) -> Result<(), SqlError> {
    let on = conn.execute_batch("pragma secure_delete = on");
    on.map_err(|error| sql_error(error, ""))
}

pub(super) fn open_reader(path: &Path) -> Result<(Connection, Arc<Watch>), SqlError> {
    let (conn, watch) = open(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.execute_batch("pragma query_only = on")
        .map_err(|error| sql_error(error, ""))?;
    Ok((conn, watch))
}

/// Runs one statement to its end.
pub(crate) fn run(conn: &Connection, (statement, params): &Call) -> Result<Outcome, SqlError> {
    let failed = |error| sql_error(error, &statement.text);
    let mut prepared = conn.prepare_cached(&statement.sqlite).map_err(failed)?;
    run_prepared(conn, &mut prepared, params).map_err(|error| match error {
        Failed::Sqlite(error) => failed(error),
        Failed::Parameters(wanted) => SqlError::usage(format!(
            "{wanted} parameters wanted, {} given: `{}`",
            params.len(),
            statement.shown()
        )),
    })
}

/// Gives each row of a statement that only reads to `take`, as the driver has it.
pub(crate) fn each(
    conn: &Connection,
    (statement, params): &Call,
    mut take: impl FnMut(&rusqlite::Row<'_>),
) -> Result<(), SqlError> {
    let failed = |error| sql_error(error, &statement.text);
    let mut prepared = conn.prepare_cached(&statement.sqlite).map_err(failed)?;
    let mut found = prepared
        .query(rusqlite::params_from_iter(params))
        .map_err(failed)?;
    while let Some(row) = found.next().map_err(failed)? {
        take(row);
    }
    Ok(())
}

/// Runs one statement if it only reads; `None` if it would write.
pub(super) fn run_read(conn: &Connection, call: &Call) -> Result<Option<Outcome>, SqlError> {
    let prepared = conn
        .prepare_cached(&call.0.sqlite)
        .map_err(|error| sql_error(error, &call.0.text))?;
    if !prepared.readonly() {
        call.0.is_a_write();
        return Ok(None);
    }
    drop(prepared);
    run(conn, call).map(Some)
}

/// Runs several statements without parameters.
pub(crate) fn script(conn: &Connection, sql: &str) -> Result<(), SqlError> {
    let done = conn.execute_batch(sql);
    done.map_err(|error| sql_error(error, sql))
}

enum Failed {
    Sqlite(rusqlite::Error),
    Parameters(usize),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn run_prepared(
    conn: &Connection,
    prepared: &mut CachedStatement<'_>,
    params: &[Value],
) -> Result<Outcome, Failed> {
    let wanted = prepared.parameter_count();
    if wanted != params.len() {
        return Err(Failed::Parameters(wanted));
    }
    for (index, param) in params.iter().enumerate() {
        prepared.raw_bind_parameter(index + 1, param)?;
    }
    let reads = prepared.readonly();
    let before = conn.total_changes();
    let rows = collect(prepared)?;
    // `changes` keeps its old value across statements that are no row changes, such as DDL.
    let changed = !reads && conn.total_changes() != before;
    let affected = match (reads, changed) {
        (true, _) => rows.len() as u64,
        (false, true) => conn.changes(),
        (false, false) => 0,
    };
    Ok(Outcome { rows, affected })
}

fn collect(prepared: &mut CachedStatement<'_>) -> Result<Vec<Row>, rusqlite::Error> {
    let mut found = prepared.raw_query();
    let mut rows = Vec::new();
    let mut columns: Option<Arc<[String]>> = None;
    while let Some(row) = found.next()? {
        // Named after the first step: a changed schema prepares the statement anew there.
        let columns = columns.get_or_insert_with(|| {
            let names = row.as_ref().column_names();
            names.into_iter().map(str::to_owned).collect()
        });
        let values = (0..columns.len()).map(|index| row.get_ref(index).map(value));
        let values = values.collect::<Result<_, _>>()?;
        rows.push(Row::new(Arc::clone(columns), values));
    }
    Ok(rows)
}

fn value(found: ValueRef<'_>) -> Value {
    match found {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::I64(number),
        ValueRef::Real(number) => Value::F64(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(value) => ToSqlOutput::Borrowed(ValueRef::Integer((*value).into())),
            Value::I64(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Value::F64(number) => ToSqlOutput::Borrowed(ValueRef::Real(*number)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Value::Uuid(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            Value::Timestamp(at) => ToSqlOutput::Borrowed(ValueRef::Integer(at.as_microsecond())),
            Value::Json(json) => ToSqlOutput::Owned(json.to_string().into()),
        })
    }
}

fn open(path: &Path, flags: OpenFlags) -> Result<(Connection, Arc<Watch>), SqlError> {
    let failed =
        |error: rusqlite::Error| SqlError::Unavailable(format!("{}: {error}", path.display()));
    let mut conn = Connection::open_with_flags(path, flags).map_err(failed)?;
    conn.busy_timeout(BUSY).map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(PREPARED_MAX);
    let watch = Watch::new();
    let seen = Arc::clone(&watch);
    conn.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || seen.must_stop()))
        .map_err(failed)?;
    Ok((conn, watch))
}

/// An acknowledged write must survive a power cut: WAL with `synchronous = full`, and nothing less.
fn refuse_less_than_durable(conn: &Connection) -> Result<(), SqlError> {
    let ask = |pragma: &str| -> Result<String, SqlError> {
        conn.query_row(&format!("pragma {pragma}"), [], |row| {
            row.get_ref(0).map(|found| match found {
                ValueRef::Integer(number) => number.to_string(),
                other => other.as_str().unwrap_or_default().to_owned(),
            })
        })
        .map_err(|error| sql_error(error, pragma))
    };
    let (mode, level) = (ask("journal_mode")?, ask("synchronous")?);
    if mode == "wal" && level == "2" {
        return Ok(());
    }
    Err(SqlError::Unavailable(format!(
        "SQLite runs with journal_mode {mode} and synchronous {level} instead of wal and full: \
         the folder's file system does not allow durable writes"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_a_power_cut_would_undo_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let conn = Connection::open(place.path().join("log.db")).unwrap();
        let with = |pragmas: &str| {
            conn.execute_batch(pragmas).unwrap();
            refuse_less_than_durable(&conn)
        };
        with("pragma journal_mode = wal; pragma synchronous = full").unwrap();
        for (pragmas, named) in [
            ("pragma synchronous = normal", "synchronous 1"),
            ("pragma synchronous = off", "synchronous 0"),
            (
                "pragma synchronous = full; pragma journal_mode = delete",
                "journal_mode delete",
            ),
        ] {
            let refused = with(pragmas).unwrap_err().to_string();
            assert!(refused.contains(named), "{refused}");
        }
    }
}
