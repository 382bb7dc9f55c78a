//! Comparing tables row by row.

use std::collections::HashMap;

use stanchion_eventsourcing::{Difference, Verified};

use super::ProjectorError;
use crate::{Db, Engine, Row, SqlError, Value, params};

/// Rows read at once, of each side.
const PAGE: usize = 1_000;

/// Differences that are shown; all are counted.
const EXAMPLES_MAX: usize = 20;

/// The longest text of a row in a report.
const SHOWN_MAX: usize = 500;

/// One side of a comparison: a database and how the table is written there.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) db: &'a Db,
    pub(super) table: &'a str,
}

/// How a table's rows are told apart.
struct Shape {
    /// Quoted, the primary key first.
    columns: Vec<String>,
    keys: usize,
}

/// Compares a table on both sides, page by page in the order of its primary key, and adds to what is known.
pub(super) async fn compare(
    name: &str,
    live: Side<'_>,
    replayed: Side<'_>,
    found: &mut Verified,
) -> Result<(), ProjectorError> {
    let shape = shape(live.db, name).await?;
    let mut after = None;
    loop {
        let page = rows(&live, &shape, after.as_deref(), None).await?;
        let full = page.len() == PAGE;
        let last = page.last().map(|row| key(row, &shape).to_vec());
        let until = last.clone().filter(|_| full);
        let mut others = HashMap::new();
        let mut from = after.clone();
        loop {
            let part = rows(&replayed, &shape, from.as_deref(), until.as_deref()).await?;
            from = part.last().map(|row| key(row, &shape).to_vec());
            let more = part.len() == PAGE;
            for row in part {
                others.insert(format!("{:?}", key(&row, &shape)), row);
            }
            if !more || others.len() > 100 * PAGE {
                break;
            }
        }
        for row in &page {
            found.rows += 1;
            let other = others.remove(&format!("{:?}", key(row, &shape)));
            if other.as_ref().map(Row::values) != Some(row.values()) {
                differs(found, name, &shape, Some(row), other.as_ref());
            }
        }
        for other in others.values() {
            found.rows += 1;
            differs(found, name, &shape, None, Some(other));
        }
        if !full {
            return Ok(());
        }
        after = last;
    }
}

fn differs(
    found: &mut Verified,
    table: &str,
    shape: &Shape,
    live: Option<&Row>,
    replayed: Option<&Row>,
) {
    found.different += 1;
    let Some(any) = live
        .or(replayed)
        .filter(|_| found.examples.len() < EXAMPLES_MAX)
    else {
        return;
    };
    found.examples.push(Difference {
        table: table.to_owned(),
        key: shown(key(any, shape)),
        live: live.map(|row| shown(row.values())),
        replayed: replayed.map(|row| shown(row.values())),
    });
}

async fn rows(
    side: &Side<'_>,
    shape: &Shape,
    after: Option<&[Value]>,
    until: Option<&[Value]>,
) -> Result<Vec<Row>, SqlError> {
    let keys = shape.columns[..shape.keys].join(", ");
    let mut params = params![];
    let mut wanted = String::from("1 = 1");
    for (bound, sign) in [(after, ">"), (until, "<=")] {
        let Some(bound) = bound else { continue };
        let first = params.len() + 1;
        params.extend(bound.iter().cloned());
        let places: Vec<String> = (first..=params.len()).map(|n| format!("${n}")).collect();
        wanted.push_str(&format!(" and ({keys}) {sign} ({})", places.join(", ")));
    }
    let sql = format!(
        "select {} from {} where {wanted} order by {keys} limit {PAGE}",
        shape.columns.join(", "),
        side.table
    );
    side.db.query(&sql, params).await
}

/// The primary key stands first.
fn key<'a>(row: &'a Row, shape: &Shape) -> &'a [Value] {
    &row.values()[..shape.keys]
}

fn shown(values: &[Value]) -> String {
    let text: Vec<String> = values.iter().map(text).collect();
    let mut text = text.join(", ");
    if let Some((end, _)) = text.char_indices().nth(SHOWN_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::Text(value) => value.clone(),
        Value::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Value::Uuid(value) => value.to_string(),
        Value::Timestamp(value) => value.to_string(),
        Value::Json(value) => value.to_string(),
    }
}

async fn shape(db: &Db, table: &str) -> Result<Shape, ProjectorError> {
    let (columns, params) = match db.engine() {
        Engine::Sqlite => (
            "select '\"' || name || '\"', pk from pragma_table_xinfo($1) where hidden <> 1 \
             order by pk = 0, pk, cid",
            params![table],
        ),
        Engine::Postgres => (
            "select quote_ident(cast(a.attname as text)), \
             coalesce(array_position(cast(i.indkey as int2[]), a.attnum), -1) + 1 \
             from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid \
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
             left join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisprimary \
             where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped \
             order by array_position(cast(i.indkey as int2[]), a.attnum) nulls last, a.attnum",
            params![db.module(), table],
        ),
    };
    let rows = db.query(columns, params).await?;
    let mut shape = Shape {
        columns: Vec::new(),
        keys: 0,
    };
    for row in &rows {
        shape.columns.push(row.get(0)?);
        shape.keys += usize::from(row.get::<i64>(1)? > 0);
    }
    if shape.keys == 0 {
        return Err(ProjectorError::Refused(format!(
            "the table `{table}` has no primary key: its rows cannot be compared"
        )));
    }
    Ok(shape)
}
