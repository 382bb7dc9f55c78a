//! SQLite's limit: one thread, prepared inserts into our own table, 1,000 rows a durable transaction.

use std::time::Instant;

use load::{Dice, Job, Report, STREAMS};
use stanchion_sql::{SqlError, rusqlite};
use uuid::Uuid;

use crate::store;

const ROWS: usize = 1_000;
const INSERT: &str = "insert into event (position, stream, version, event_id, category, type, data, meta, at, checksum) \
                      values (?1, ?2, ?3, ?4, 'account', 'money_booked', ?5, '{}', ?1, ?1)";

pub async fn run(job: &Job) -> Report {
    let (db, _log) = store::log(job).await;
    let mut versions = vec![0i64; STREAMS];
    let (mut dice, mut position) = (Dice::new(1), 0i64);
    let (begun, mut events) = (Instant::now(), 0);
    while begun.elapsed() < job.seconds {
        let mut rows = Vec::with_capacity(ROWS);
        for _ in 0..ROWS {
            let stream = dice.below(STREAMS);
            position += 1;
            let key = store::stream(stream).key().into_bytes();
            rows.push((position, key, versions[stream], load::payload(stream)));
            versions[stream] += 1;
        }
        db.sqlite_write(move |connection| insert(connection, &rows))
            .await
            .expect("a transaction");
        events += ROWS as u64;
    }
    Report::rate(events, begun.elapsed())
}

type Row = (i64, [u8; 16], i64, String);

fn insert(connection: &rusqlite::Connection, rows: &[Row]) -> Result<(), SqlError> {
    let failed = |error: rusqlite::Error| SqlError::Unavailable(error.to_string());
    let mut statement = connection.prepare_cached(INSERT).map_err(failed)?;
    for (position, key, version, data) in rows {
        let id = Uuid::now_v7().into_bytes();
        statement
            .execute(rusqlite::params![position, key, version, id, data])
            .map_err(failed)?;
    }
    Ok(())
}
