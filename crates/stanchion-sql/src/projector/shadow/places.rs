//! PostgreSQL: the new tables take the place of the live ones as a whole, so that nobody waits for rows to be copied.
//!
//! What a table made like another one does not have (foreign keys, triggers, rights, …) would be lost that way: where
//! the live one has any of it the rows are copied instead.

use tracing::debug;

use super::{PLACES_WAIT, Plan, Way};
use crate::{Row, SqlError, Tx, params};

/// One if the live table has nothing that the one beside it would lack in its place. What refers to it (a view, a
/// sequence's owner) is not asked for: it refuses the drop.
const ALIKE: &str = "\
select count(*) from pg_catalog.pg_class l join pg_catalog.pg_namespace ln on ln.oid = l.relnamespace \
join pg_catalog.pg_class s on s.relname = l.relname join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace \
where ln.nspname = $1 and sn.nspname = $2 and l.relname = $3 and l.relkind = 'r' \
and not (l.relhastriggers or l.relhasrules or l.relrowsecurity or l.relhassubclass or l.relispartition) \
and l.relreplident = 'd' and l.relpersistence = s.relpersistence and l.relowner = s.relowner \
and l.reltablespace = s.reltablespace \
and cast(l.relacl as text) is not distinct from cast(s.relacl as text) \
and l.reloptions is not distinct from s.reloptions \
and has_schema_privilege(ln.oid, 'create') \
and not exists (select 1 from pg_catalog.pg_publication_rel p where p.prrelid = l.oid) \
and not exists (select 1 from pg_catalog.pg_inherits i where i.inhrelid = l.oid) \
and not exists (select 1 from pg_catalog.pg_attribute a where a.attrelid = l.oid and a.attacl is not null) \
and not exists (select 1 from pg_catalog.pg_description d where d.objoid = l.oid and d.objsubid = 0 \
 and d.classoid = cast('pg_catalog.pg_class' as regclass))";

/// The indexes that a table made like the live one has under names of the server's, and the names that they have there.
const INDEXES: &str = "\
with named as (select cast(n.nspname as text) as home, cast(x.relname as text) as name, \
 concat(i.indisprimary, i.indisunique, regexp_replace(pg_get_indexdef(x.oid), '^.*? USING ', '')) as shape \
 from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid \
 join pg_catalog.pg_class c on c.oid = i.indrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
 where c.relname = $3 and cast(n.nspname as text) in ($1, $2)), \
numbered as (select *, row_number() over (partition by home, shape order by name) as nth from named) \
select quote_ident(s.name), quote_ident(l.name) from numbered l \
join numbered s on s.shape = l.shape and s.nth = l.nth \
where l.home = $1 and s.home = $2 and l.name <> s.name";

/// Gives their indexes the names of the live ones and lets the server look at the rows; which way the swap can go.
pub(super) async fn prepare(plan: &Plan, schema: &str) -> Result<Way, SqlError> {
    let module = plan.live.module();
    for table in plan.tables {
        let alike = plan.live.one(ALIKE, params![module, schema, *table]);
        if alike.await?.get::<i64>(0)? != 1 {
            let projection = plan.projection;
            debug!(
                projection,
                table, "its rows will be copied: the table has what a new one would not"
            );
            return Ok(Way::Rows);
        }
    }
    let tx = plan.live.begin();
    for table in plan.tables {
        let pairs = tx.query(INDEXES, params![module, schema, *table]).await?;
        let pair = |row: &Row| Ok((row.get::<String>(0)?, row.get::<String>(1)?));
        let pairs = pairs
            .iter()
            .map(pair)
            .collect::<Result<Vec<_>, SqlError>>()?;
        queue_names(&tx, schema, &pairs);
    }
    tx.commit().await?;
    // Statistics come with the tables; without them the first plans would be for empty ones.
    for table in plan.tables {
        let analyze = format!("analyze \"{schema}\".\"{table}\"");
        if let Err(error) = plan.live.script(&analyze).await {
            debug!(projection = plan.projection, %error, "the new rows could not be looked at");
        }
    }
    Ok(Way::Tables)
}

/// By way of names that nobody has: one index may have what another one is to get.
fn queue_names(tx: &Tx, schema: &str, pairs: &[(String, String)]) {
    for (number, (made, _)) in pairs.iter().enumerate() {
        let sql = format!("alter index \"{schema}\".{made} rename to stanchion_{number}");
        tx.queue(&sql, params![]);
    }
    for (number, (_, name)) in pairs.iter().enumerate() {
        let sql = format!("alter index \"{schema}\".stanchion_{number} rename to {name}");
        tx.queue(&sql, params![]);
    }
}

/// Drops the live tables and puts the others there. Refused as retryable while somebody reads them for too long.
pub(super) async fn change(tx: &Tx, plan: &Plan, schema: &str) -> Result<(), SqlError> {
    let module = plan.live.module();
    let live = |table: &&str| format!("\"{module}\".\"{table}\"");
    let wait = format!("set local lock_timeout = {}", PLACES_WAIT.as_millis());
    tx.queue(&wait, params![]);
    let all: Vec<String> = plan.tables.iter().map(live).collect();
    let lock = format!("lock table {} in access exclusive mode", all.join(", "));
    tx.exec(&lock, params![]).await?;
    for table in plan.tables.iter().rev() {
        tx.queue(&format!("drop table {}", live(table)), params![]);
    }
    for table in plan.tables {
        let sql = format!("alter table \"{schema}\".\"{table}\" set schema \"{module}\"");
        tx.queue(&sql, params![]);
    }
    Ok(())
}
