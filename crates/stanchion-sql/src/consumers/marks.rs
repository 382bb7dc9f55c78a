//! How far consumers came in each line of announcements.

use stanchion_messaging::Mark;

use crate::{Db, Engine, Row, SqlError, params};

pub(super) async fn read(db: &Db, consumer: &str) -> Result<Vec<Mark>, SqlError> {
    let sql = "select log, slot, family, position, ahead from consumer_mark where consumer = $1";
    let rows = db.query(sql, params![consumer]).await?;
    rows.iter().map(mark).collect()
}

pub(super) async fn settle(db: &Db, consumer: &str, marks: &[Mark]) -> Result<(), SqlError> {
    // In one order: two members that settle the same lines wait for each other, and neither for ever.
    let mut marks: Vec<&Mark> = marks.iter().collect();
    marks.sort_by_key(|mark| (mark.log, mark.partition, &mark.family));
    let (tx, now) = (db.begin(), stanchion_runtime::clock::now());
    tx.queue_unhurried();
    match db.engine() {
        // A statement costs a server more than a row of it.
        Engine::Postgres if !marks.is_empty() => {
            let all = "select $1::text, m.log, m.slot, m.family, m.position, m.ahead, $3::timestamptz \
                       from json_to_recordset($2::text::json) as m \
                       (log uuid, slot bigint, family text, position bigint, ahead bigint) \
                       order by m.log, m.slot, m.family collate \"C\"";
            let params = params![consumer, marks_text(&marks), now];
            tx.queue(&settling(all), params);
        }
        _ => {
            for mark in marks {
                let slot = i64::from(mark.partition);
                let family = mark.family.as_str();
                let (position, ahead) = (mark.position, mark.ahead);
                let params = params![consumer, mark.log, slot, family, position, ahead, now];
                tx.queue(&settling("values ($1, $2, $3, $4, $5, $6, $7)"), params);
            }
        }
    }
    tx.commit().await
}

fn mark(row: &Row) -> Result<Mark, SqlError> {
    Ok(Mark {
        log: row.get(0)?,
        partition: row.get(1)?,
        family: row.get(2)?,
        position: row.get(3)?,
        ahead: row.get(4)?,
    })
}

/// Moves the marks forward that `rows` gives.
fn settling(rows: &str) -> String {
    format!(
        "insert into consumer_mark (consumer, log, slot, family, position, ahead, at) {rows} \
         on conflict (consumer, log, slot, family) do update set \
         position = excluded.position, ahead = excluded.ahead, at = excluded.at \
         where consumer_mark.position <= excluded.position"
    )
}

/// Marks as one text, with the names of their columns.
fn marks_text(marks: &[&Mark]) -> String {
    let each = marks.iter().map(|mark| {
        serde_json::json!({
            "log": mark.log,
            "slot": mark.partition,
            "family": mark.family,
            "position": mark.position,
            "ahead": mark.ahead,
        })
    });
    serde_json::Value::Array(each.collect()).to_string()
}
