use super::{Migrations, Mode, migrate, migrate_down};
use crate::{Db, Engine, SqlError, params};

/// For tests: applies, undoes and applies the migrations again, and compares the schemas.
///
/// # Panics
/// When a migration fails, or an undone one leaves something behind or takes too much.
pub async fn assert_down_restores(db: &Db, migrations: &Migrations) {
    let apply = async |sets: &[Migrations]| {
        let done = migrate(db, sets, Mode::Auto).await;
        done.unwrap_or_else(|error| panic!("{error}"));
        snapshot(db)
            .await
            .unwrap_or_else(|error| panic!("the schema cannot be read: {error}"))
    };
    let before = apply(&[]).await;
    let up = apply(std::slice::from_ref(migrations)).await;
    let undone = migrate_down(db, migrations, usize::MAX).await;
    let undone = undone.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        undone.len(),
        migrations.steps().len(),
        "not all were undone"
    );
    let after = snapshot(db)
        .await
        .unwrap_or_else(|error| panic!("the schema cannot be read: {error}"));
    assert_eq!(before, after, "the down files do not undo the up files");
    assert_eq!(
        up,
        apply(std::slice::from_ref(migrations)).await,
        "applied again, it differs"
    );
}

/// Every table, column, index and constraint as lines of text, in an order of their own.
pub(crate) async fn snapshot(db: &Db) -> Result<Vec<String>, SqlError> {
    let sql = match db.engine() {
        Engine::Sqlite => {
            "select type || ' ' || name || ': ' || coalesce(sql, '') as line from sqlite_master
             where name not like 'sqlite_stat%' order by line"
        }
        Engine::Postgres => {
            "select line from (
                select 'column ' || table_name || '.' || column_name || ': ' || data_type || ' '
                       || is_nullable || ' ' || coalesce(column_default, '') as line
                from information_schema.columns where table_schema = current_schema()
                union all
                select 'index ' || indexname || ': ' || indexdef from pg_catalog.pg_indexes
                where schemaname = current_schema()
                union all
                select 'constraint ' || conrelid::regclass::text || ' ' || conname || ': '
                       || pg_get_constraintdef(oid)
                from pg_catalog.pg_constraint
                where connamespace = (select oid from pg_catalog.pg_namespace
                                      where nspname = current_schema())
             ) as lines order by line"
        }
    };
    let rows = db.query(sql, params![]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}
