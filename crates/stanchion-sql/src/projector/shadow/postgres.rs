use stanchion_eventsourcing::Checkpoint;
use stanchion_runtime::clock;

use super::{Plan, SWAP_MAX, Way, move_live, places};
use crate::projector::target::live_name;
use crate::projector::turn::Fence;
use crate::{Db, Row, SqlError, Tx, params};

/// The schema beside the module's own.
pub(super) fn schema(plan: &Plan) -> String {
    format!("{}__{}", plan.live.module(), plan.purpose)
}

/// Makes empty tables there and the checkpoint before the first entry, in one transaction.
pub(super) async fn create(plan: &Plan) -> Result<String, SqlError> {
    let (schema, module) = (schema(plan), plan.live.module());
    // Asked first: a role without the right to create schemas may well use one that is there.
    let sql = "select 1 from pg_catalog.pg_namespace where nspname = $1";
    let there = plan.live.opt(sql, params![schema.as_str()]).await?;
    let tx = plan.live.begin();
    if there.is_none() {
        tx.queue(
            &format!("create schema if not exists \"{schema}\""),
            params![],
        );
    }
    for table in plan.tables {
        let (shadow, live) = (
            format!("\"{schema}\".\"{table}\""),
            format!("\"{module}\".\"{table}\""),
        );
        tx.queue(&format!("drop table if exists {shadow}"), params![]);
        tx.queue(
            &format!("create table {shadow} (like {live} including all)"),
            params![],
        );
    }
    let name = plan.name();
    tx.queue(
        "delete from parked where consumer = $1",
        params![name.as_str()],
    );
    let (sql, params) = plan.forget();
    tx.queue(sql, params);
    if plan.made_of.is_some() {
        let (sql, params) = plan.remember();
        tx.queue(sql, params);
    }
    let start = "insert into checkpoint (name, log, position, at) values ($1, $2, 0, $3)";
    tx.queue(start, params![name, plan.log, clock::now()]);
    tx.commit().await?;
    Ok(schema)
}

/// Puts the rows in the place of the live ones; readers see the old ones until the commit.
pub(super) async fn swap(
    (tx, fence): (Tx, &Fence),
    plan: &Plan,
    schema: &str,
    (at, sound): (&Checkpoint, bool),
    way: Way,
) -> Result<bool, SqlError> {
    let copies = match way {
        Way::Rows => copies(plan, schema).await?,
        Way::Tables => Vec::new(),
    };
    let live = live_name(plan.projection);
    if !sound {
        let others = "delete from checkpoint where name = $1 and log <> $2";
        tx.queue(others, params![live.as_str(), plan.log]);
    }
    let (sql, params) = move_live(plan, at, sound);
    if tx.exec(&sql, params).await? == 0 {
        tx.rollback().await?;
        return Ok(false);
    }
    match way {
        Way::Rows => queue_rows(&tx, plan, schema, &copies),
        Way::Tables => places::change(&tx, plan, schema).await?,
    }
    queue_parked(&tx, plan, &live);
    let (sql, params) = plan.forget();
    tx.queue(sql, params);
    fence.guard(&tx).await?;
    tx.commit().await?;
    Ok(true)
}

/// The statements that copy the rows.
async fn copies(plan: &Plan, schema: &str) -> Result<Vec<String>, SqlError> {
    let module = plan.live.module();
    let mut copies = Vec::new();
    for table in plan.tables {
        let columns = columns(&plan.live, module, table).await?.join(", ");
        copies.push(format!(
            "insert into \"{module}\".\"{table}\" ({columns}) overriding system value \
             select {columns} from \"{schema}\".\"{table}\""
        ));
    }
    Ok(copies)
}

/// Nobody but this projection writes the tables, so nobody else waits.
fn queue_rows(tx: &Tx, plan: &Plan, schema: &str, copies: &[String]) {
    let (module, longest) = (plan.live.module(), SWAP_MAX.as_millis());
    tx.queue(
        &format!("set local statement_timeout = {longest}"),
        params![],
    );
    for table in plan.tables.iter().rev() {
        tx.queue(&format!("delete from \"{module}\".\"{table}\""), params![]);
    }
    for copy in copies {
        tx.queue(copy, params![]);
    }
    for table in plan.tables.iter().rev() {
        tx.queue(&format!("drop table \"{schema}\".\"{table}\""), params![]);
    }
}

/// What the replay put aside takes the place of what the live projection did.
fn queue_parked(tx: &Tx, plan: &Plan, live: &str) {
    tx.queue("delete from parked where consumer = $1", params![live]);
    let rename = "update parked set consumer = $1 where consumer = $2";
    tx.queue(rename, params![live, plan.name()]);
}

pub(super) async fn drop_tables(plan: &Plan, schema: &str) -> Result<(), SqlError> {
    let tx = plan.live.begin();
    for table in plan.tables.iter().rev() {
        tx.queue(
            &format!("drop table if exists \"{schema}\".\"{table}\""),
            params![],
        );
    }
    let name = plan.name();
    tx.queue(
        "delete from parked where consumer = $1",
        params![name.as_str()],
    );
    let (sql, params) = plan.forget();
    tx.queue(sql, params);
    tx.commit().await
}

/// A live table's columns and what they hold, as text.
pub(super) async fn described(plan: &Plan, table: &str) -> Result<Vec<String>, SqlError> {
    let sql = "select cast(a.attname as text) || ' ' || format_type(a.atttypid, a.atttypmod) \
               || case when a.attnotnull then ' not null' else '' end || cast(a.attgenerated as text) \
               from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid \
               join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
               where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped \
               order by a.attnum";
    let rows = plan.live.query(sql, params![plan.live.module(), table]);
    rows.await?.iter().map(|row: &Row| row.get(0)).collect()
}

/// The quoted names of the columns that can be written.
async fn columns(db: &Db, module: &str, table: &str) -> Result<Vec<String>, SqlError> {
    let sql = "select quote_ident(cast(a.attname as text)) from pg_catalog.pg_attribute a \
               join pg_catalog.pg_class c on c.oid = a.attrelid \
               join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
               where n.nspname = $1 and c.relname = $2 and a.attnum > 0 \
               and not a.attisdropped and a.attgenerated = '' order by a.attnum";
    let rows = db.query(sql, params![module, table]).await?;
    rows.iter().map(|row: &Row| row.get(0)).collect()
}
