//! The log's statements on SQLite: one job of the writer for a whole batch, prepared once.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use uuid::Uuid;

use super::plan::{Facts, InboxRow, Verdict};
use super::ready::Ready;
use super::rows::checksum;
use super::writes::{Settled, Writes};
use crate::SqlError;
use crate::sqlite::sql_error;

const HEAD: &str = "select coalesce(max(position), 0) from event";

const VERSION: &str = "select max(version) from event where stream = ?1";

const REPEATED: &str = "select stream, version, position from event where event_id = ?1";

const INBOX: &str = "select owner, position, answer from inbox where key = ?1";

const EVENT: &str = "\
insert into event (position, stream, version, event_id, category, type, data, meta, at, checksum) \
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

const NAME: &str = "\
insert into stream (stream, category, name) values (?1, ?2, ?3) on conflict (stream) do nothing";

const KEY: &str = "insert into inbox (key, position, answer, at) values (?1, ?2, ?3, ?4)";

const CLAIM: &str = "\
update inbox set owner = null, expires_at = null, position = ?2, answer = ?3, at = ?4 \
where key = ?1 and owner = ?5";

const TIMER_SET: &str = "\
insert into timer (stream, name, category, due_at) values (?1, ?2, ?3, ?4) \
on conflict (stream, name) do update set category = excluded.category, due_at = excluded.due_at";

const TIMER_CLEARED: &str = "delete from timer where stream = ?1 and name = ?2";

/// The log's last position.
pub(super) fn head(conn: &Connection) -> Result<i64, SqlError> {
    let head = one(conn, HEAD, [], |row| row.get(0))?;
    Ok(head.unwrap_or(0))
}

/// What has to be known of a batch.
pub(super) fn look(conn: &Connection, batch: &[&Ready]) -> Result<Facts, SqlError> {
    let mut facts = Facts::default();
    facts.head = head(conn)?;
    for ready in batch {
        let key = ready.key.as_bytes();
        let version = one(conn, VERSION, [key], |row| row.get::<_, Option<i64>>(0))?;
        if let Some(version) = version.flatten() {
            facts.saw_version(ready.key, version);
        }
        for event in ready.outermost() {
            let found = one(conn, REPEATED, [event.id.as_bytes()], |row| {
                Ok((id(row, 0)?, row.get(1)?, row.get(2)?))
            })?;
            if let Some((Some(stream), version, position)) = found {
                facts.saw_event(event.id, stream, version, position);
            }
        }
        if let Some(key) = ready.inbox_key() {
            let found = one(conn, INBOX, [key], |row| {
                Ok(InboxRow {
                    owner: id(row, 0)?,
                    position: row.get(1)?,
                    answer: row.get(2)?,
                })
            })?;
            if let Some(row) = found {
                facts.saw_key(key.to_owned(), row);
            }
        }
    }
    Ok(facts)
}

/// Looks, decides and writes.
pub(super) fn check_and_write(
    conn: &Connection,
    batch: &[&Ready],
    at: Timestamp,
) -> Result<(Vec<Verdict>, i64), SqlError> {
    let facts = look(conn, batch)?;
    let verdicts = facts.verdicts(batch.iter().copied());
    let writes = Writes::of(batch.iter().copied(), &verdicts);
    write(conn, &writes, facts.head, at)?;
    Ok((verdicts, facts.head))
}

/// Writes the rows after position `base`.
pub(super) fn write(
    conn: &Connection,
    writes: &Writes<'_>,
    base: i64,
    at: Timestamp,
) -> Result<(), SqlError> {
    write_events(conn, writes, base, at)?;
    for ready in &writes.names {
        let stream = &ready.append.stream;
        let params = params![ready.key.as_bytes(), stream.category(), stream.id()];
        run(conn, NAME, params)?;
    }
    let head = base + writes.events.len() as i64;
    let place = |settled: &Settled<'_>| head - settled.back;
    let at = at.as_microsecond();
    for settled in &writes.keys {
        let (key, answer) = (settled.entry.key.as_str(), &settled.entry.answer);
        run(conn, KEY, params![key, place(settled), answer, at])?;
    }
    for (settled, owner) in &writes.claims {
        let (key, answer) = (settled.entry.key.as_str(), &settled.entry.answer);
        let params = params![key, place(settled), answer, at, owner.as_bytes()];
        if run(conn, CLAIM, params)? != 1 {
            return Err(SqlError::Constraint("a claim was lost".into()));
        }
    }
    for (ready, name, due_at) in &writes.timers.set {
        let category = ready.append.stream.category();
        let due_at = due_at.as_microsecond();
        let params = params![ready.key.as_bytes(), name, category, due_at];
        run(conn, TIMER_SET, params)?;
    }
    for (ready, name) in &writes.timers.cleared {
        run(conn, TIMER_CLEARED, params![ready.key.as_bytes(), name])?;
    }
    Ok(())
}

fn write_events(
    conn: &Connection,
    writes: &Writes<'_>,
    base: i64,
    at: Timestamp,
) -> Result<(), SqlError> {
    let failed = |error| sql_error(error, EVENT);
    let mut insert = conn.prepare_cached(EVENT).map_err(failed)?;
    let at = at.as_microsecond();
    for (event, position) in writes.events.iter().zip(base + 1..) {
        let inserted = insert.execute(params![
            position,
            event.ready.key.as_bytes(),
            event.version,
            event.event.id.as_bytes(),
            event.ready.append.stream.category(),
            event.event.kind,
            event.event.data.as_str(),
            event.ready.meta,
            at,
            checksum(event.sum, event.version),
        ]);
        inserted.map_err(failed)?;
    }
    Ok(())
}

fn run(conn: &Connection, sql: &str, params: impl Params) -> Result<usize, SqlError> {
    let done = conn
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(params));
    done.map_err(|error| sql_error(error, sql))
}

fn one<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, SqlError> {
    let found = conn
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row(params, read).optional());
    found.map_err(|error| sql_error(error, sql))
}

fn id(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Uuid>> {
    let bytes: Option<[u8; 16]> = row.get(index)?;
    Ok(bytes.map(Uuid::from_bytes))
}
