use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::Connection;
use stanchion_eventsourcing::Checkpoint;
use stanchion_runtime::{clock, id, task};
use tracing::warn;
use uuid::Uuid;

use super::{Plan, SWAP_MAX, VERIFY, move_live};
use crate::projector::target::live_name;
use crate::sqlite::BESIDE;
use crate::{DatabaseSettings, DatabaseUrl, Db, Row, SqlError, params};

/// The checkpoint in the file that says which rebuild it belongs to.
const BUILD: &str = "build";

/// Names of the files' databases are derived below this namespace.
const NAMESPACE: Uuid = Uuid::from_u128(0x3c86_5f0e_76d1_4bd2_9f47_1f8e_0f5a_c3a9);

/// What the file needs beside the projection's tables.
const OURS: [&str; 2] = ["checkpoint", "parked"];

/// The rebuild's file; one that belongs to another rebuild than the one `marked` is emptied first.
///
/// The mark stands in the live database before the file does: a file without it is what a swap left behind. Rebuilds
/// are told apart by the time of their mark.
pub(super) async fn open(plan: &Plan, marked: bool) -> Result<Db, SqlError> {
    if !marked {
        let tx = plan.live.begin();
        let (sql, params) = plan.forget();
        tx.queue(sql, params);
        let (sql, params) = plan.remember();
        tx.queue(sql, params);
        let sql = "insert into checkpoint (name, log, position, at) values ($1, $2, 0, $3)";
        tx.queue(sql, params![plan.name(), plan.log, clock::now()]);
        tx.commit().await?;
    }
    let build = time_of(&plan.live, &plan.name()).await?;
    let folder = file_of(&plan.live).await?;
    let folder = folder.parent().map(Path::to_owned).unwrap_or_default();
    let url = DatabaseUrl::sqlite(folder);
    let db = Db::open(&url, &module(plan), &DatabaseSettings::default()).await?;
    if build.is_none() || build_of(&db).await? != build {
        fill(plan, &db, build.unwrap_or_else(clock::now)).await?;
    }
    Ok(db)
}

/// A file that goes away with its last user.
pub(super) async fn temporary(plan: &Plan) -> Result<Db, SqlError> {
    let db = Db::memory(plan.live.module())?;
    fill(plan, &db, clock::now()).await?;
    Ok(db)
}

/// Takes the mark of a rebuild away. A verification has none: it works where the store can only be read.
pub(super) async fn unmark(plan: &Plan) -> Result<(), SqlError> {
    if plan.purpose == VERIFY {
        return Ok(());
    }
    let (sql, params) = plan.forget();
    plan.live.exec(sql, params).await.map(drop)
}

async fn build_of(db: &Db) -> Result<Option<Timestamp>, SqlError> {
    let sql = "select 1 from sqlite_master where name = 'checkpoint'";
    match db.opt(sql, params![]).await? {
        Some(_) => time_of(db, BUILD).await,
        None => Ok(None),
    }
}

/// A live table's statements, indexes and all.
pub(super) async fn described(plan: &Plan, table: &str) -> Result<Vec<String>, SqlError> {
    let sql = "select sql from sqlite_master where tbl_name = $1 and sql is not null \
               and type in ('table', 'index') order by type desc, name";
    let rows = plan.live.query(sql, params![table]).await?;
    rows.iter().map(|row: &Row| row.get(0)).collect()
}

async fn time_of(db: &Db, name: &str) -> Result<Option<Timestamp>, SqlError> {
    let sql = "select min(at) from checkpoint where name = $1";
    db.one(sql, params![name]).await?.get(0)
}

/// Empties it and makes the tables as they are in the live database, indexes and all.
async fn fill(plan: &Plan, db: &Db, build: Timestamp) -> Result<(), SqlError> {
    let mut statements = Vec::new();
    for table in plan.tables.iter().chain(&OURS) {
        statements.extend(described(plan, table).await?);
    }
    let there = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'";
    let there = db.query(there, params![]).await?;
    let drops = there.iter().map(|row: &Row| {
        row.get::<&str>(0)
            .map(|name| format!("drop table \"{name}\""))
    });
    let mut script = drops.collect::<Result<Vec<_>, _>>()?;
    script.append(&mut statements);
    db.script(&script.join(";\n")).await?;
    let tx = db.begin();
    let insert = "insert into checkpoint (name, log, position, at) values ($1, $2, 0, $3)";
    tx.queue(insert, params![plan.name(), plan.log, build]);
    // Last: a file without it is emptied again.
    tx.queue(insert, params![BUILD, plan.log, build]);
    tx.commit().await
}

/// Copies the rows, as one job of the live database's writer: other writes wait for it, readers do not.
pub(super) async fn swap(
    plan: &Plan,
    db: &Db,
    at: &Checkpoint,
    sound: bool,
) -> Result<bool, SqlError> {
    let (from, plan, at) = (file_of(db).await?, plan.clone(), *at);
    let live = plan.live.clone();
    live.sqlite()?
        .write_beside(from, SWAP_MAX, move |conn| {
            swap_within(conn, &plan, &at, sound)
        })
        .await
}

fn swap_within(
    conn: &Connection,
    plan: &Plan,
    at: &Checkpoint,
    sound: bool,
) -> Result<bool, SqlError> {
    let run = |sql: &str, params| {
        let call = (plan.live.statement(sql), params);
        crate::sqlite::run(conn, &call).map(|outcome| outcome.affected)
    };
    let live = live_name(plan.projection);
    if !sound {
        let others = "delete from checkpoint where name = $1 and log <> $2";
        run(others, params![live.as_str(), plan.log])?;
    }
    let (sql, params) = move_live(plan, at, sound);
    if run(&sql, params)? == 0 {
        return Ok(false);
    }
    conn.execute_batch("pragma defer_foreign_keys = on")
        .map_err(copying)?;
    for table in plan.tables.iter().rev() {
        run(&format!("delete from \"{table}\""), params![])?;
    }
    for table in plan.tables {
        copy(conn, table).map_err(copying)?;
    }
    run(
        "delete from parked where consumer = $1",
        params![live.as_str()],
    )?;
    copy(conn, "parked").map_err(copying)?;
    let rename = "update parked set consumer = $1 where consumer = $2";
    run(rename, params![live, plan.name()])?;
    let (sql, params) = plan.forget();
    run(sql, params)?;
    Ok(true)
}

/// Copies a table's rows as they are; columns that SQLite makes itself it makes again.
fn copy(conn: &Connection, table: &str) -> rusqlite::Result<()> {
    let mut columns = conn.prepare(&format!(
        "select '\"' || name || '\"', hidden from pragma_table_xinfo('{table}') order by cid"
    ))?;
    let columns: Vec<(String, i64)> = columns
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let made: Vec<&str> = columns
        .iter()
        .filter(|(_, hidden)| *hidden == 0)
        .map(|(name, _)| name.as_str())
        .collect();
    let copied = if made.len() == columns.len() {
        // In just these words SQLite takes over whole pages, indexes and all, instead of making each row anew.
        conn.execute(
            &format!("insert into main.\"{table}\" select * from {BESIDE}.\"{table}\""),
            [],
        )
    } else {
        let made = made.join(", ");
        conn.execute(
            &format!(
                "insert into main.\"{table}\" ({made}) select {made} from {BESIDE}.\"{table}\""
            ),
            [],
        )
    };
    copied.map(drop)
}

/// Closes and deletes it. What is left of it is emptied by the next rebuild.
pub(super) async fn delete(db: Db) {
    let file = file_of(&db).await;
    db.close().await;
    drop(db);
    let Ok(file) = file else { return };
    let deleted = task::blocking("delete-rebuild", move || {
        for end in ["", "-wal", "-shm"] {
            let path = PathBuf::from(format!("{}{end}", file.display()));
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    warn!(path = %path.display(), %error, "what a rebuild left cannot be deleted");
                }
                _ => {}
            }
        }
    });
    let _ = deleted.await;
}

/// The database's file.
pub(super) async fn file_of(db: &Db) -> Result<PathBuf, SqlError> {
    let sql = "select file from pragma_database_list where name = 'main'";
    let row = db.one(sql, params![]).await?;
    Ok(PathBuf::from(row.get::<&str>(0)?))
}

/// A database's name: the module's, as far as it goes, and what tells projections apart.
fn module(plan: &Plan) -> String {
    let id = id::derived(&NAMESPACE, plan.projection.as_bytes());
    let module: String = plan.live.module().chars().take(24).collect();
    format!("{module}__rebuild_{}", &id.simple().to_string()[..8])
}

fn copying(error: rusqlite::Error) -> SqlError {
    SqlError::Unavailable(format!("the rows could not be copied: {error}"))
}
