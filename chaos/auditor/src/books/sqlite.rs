//! SQLite, by its driver alone.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};
use uuid::Uuid;

use super::{Account, Books, Event, Fold, Handled, Raw, WorkRow};

pub(super) fn read(folder: &str, module: &str) -> anyhow::Result<Books> {
    let file = Path::new(folder).join(format!("{module}.db"));
    let store = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let events = "select e.position, e.category, s.name, e.version, e.event_id, e.data \
                  from event e left join stream s on s.stream = e.stream";
    let events = rows(&store, events, |row| {
        Ok(Raw {
            position: row.get(0)?,
            category: row.get(1)?,
            name: row.get(2)?,
            version: row.get(3)?,
            id: Uuid::from_bytes(row.get(4)?),
            data: row.get(5)?,
        })
    })?;
    let checkpoints = rows(&store, "select name, position from checkpoint", |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(Books {
        events: events
            .into_iter()
            .map(Event::of)
            .collect::<anyhow::Result<_>>()?,
        inbox: rows(&store, "select key, position from inbox", |row| {
            let (key, position) = (row.get(0)?, row.get(1)?);
            Ok(Handled { key, position })
        })?,
        rows: rows(&store, "select id, account, cents from work_row", |row| {
            let id = Uuid::from_bytes(row.get(0)?);
            let (account, cents) = (row.get(1)?, row.get(2)?);
            Ok(WorkRow { id, account, cents })
        })?,
        accounts: rows(&store, "select name, n, cents from account", |row| {
            let (name, n, cents) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Account { name, n, cents })
        })?,
        each: rows(&store, "select position, event_id from each_row", |row| {
            Ok((row.get(0)?, Uuid::from_bytes(row.get(1)?)))
        })?,
        folds: rows(
            &store,
            "select follower, stream, n, version, digest from fold_row",
            |row| {
                Ok(Fold {
                    follower: row.get(0)?,
                    stream: row.get(1)?,
                    n: row.get(2)?,
                    version: row.get(3)?,
                    digest: row.get(4)?,
                })
            },
        )?,
        checkpoints: checkpoints.into_iter().collect(),
    })
}

fn rows<T>(
    store: &Connection,
    sql: &str,
    one: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    store.prepare(sql)?.query_map([], one)?.collect()
}
