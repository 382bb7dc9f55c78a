use std::collections::BTreeMap;
use std::time::Duration;

use stanchion_runtime::clock;
use tracing::{info, warn};

use super::{MigrateError, MigrateReport, Migration, Migrations, Mode, label};
use crate::{Db, Engine, Params, SqlError, params};

/// The longest one step may run; a statement's usual bound does not hold here.
const STEP_MAX: Duration = Duration::from_secs(3_600);

/// PostgreSQL: the advisory lock under which one process at a time changes a schema.
const LOCK: &str = "select pg_advisory_xact_lock(8275, hashtext(current_schema()::text))";

const TABLE: &str = "create table if not exists stanchion_migrations (scope text not null,
    number bigint not null, name text not null, checksum bytea not null,
    applied_at timestamptz not null, primary key (scope, number))";

/// Brings a module's schema to what the binary knows: the log's tables first, then `migrations`.
///
/// Each step is one transaction; a process that dies in between goes on where it stopped. Processes
/// that migrate at the same time take turns. Steps that a newer binary took are reported and let be.
///
/// # Errors
/// See [`MigrateError`]; an edited step stops everything before anything is taken.
pub async fn migrate(
    db: &Db,
    migrations: &[Migrations],
    mode: Mode,
) -> Result<MigrateReport, MigrateError> {
    let own = Migrations::of_the_log(db.engine());
    let scopes: Vec<&Migrations> = std::iter::once(&own).chain(migrations).collect();
    let (mut report, missing) = compare(db, &scopes).await?;
    if mode == Mode::Check && !missing.is_empty() {
        let labels = missing.iter().map(|(scope, step)| step.label(scope));
        return Err(MigrateError::Missing(labels.collect()));
    }
    for step in &report.unknown {
        warn!(
            module = db.module(),
            step, "a newer binary migrated this database"
        );
    }
    for (scope, step) in missing {
        if take(db, scope, step).await? {
            info!(module = db.module(), step = step.label(scope), "migrated");
            report.applied.push(step.label(scope));
        } else {
            report.present += 1;
        }
    }
    Ok(report)
}

/// Takes back the last `count` steps of a scope, newest first; returns their names.
///
/// # Errors
/// See [`MigrateError`].
pub async fn migrate_down(
    db: &Db,
    migrations: &Migrations,
    count: usize,
) -> Result<Vec<String>, MigrateError> {
    let taken = taken(db).await?;
    let is_taken = |step: &&Migration| taken.contains_key(&key(migrations.scope, step.number));
    let mut undone = Vec::new();
    for step in migrations.steps.iter().rev().filter(is_taken).take(count) {
        take_back(db, migrations.scope, step).await?;
        info!(
            module = db.module(),
            step = step.label(migrations.scope),
            "taken back"
        );
        undone.push(step.label(migrations.scope));
    }
    Ok(undone)
}

type Missing<'a> = Vec<(&'static str, &'a Migration)>;

/// What was taken must be what the binary has, to the letter; what is left is missing.
async fn compare<'a>(
    db: &Db,
    scopes: &[&'a Migrations],
) -> Result<(MigrateReport, Missing<'a>), MigrateError> {
    let mut taken = taken(db).await?;
    let mut report = MigrateReport::default();
    let mut missing = Vec::new();
    for (index, migrations) in scopes.iter().enumerate() {
        let scope = migrations.scope;
        migrations.check_numbering()?;
        if scopes[..index].iter().any(|earlier| earlier.scope == scope) {
            return Err(MigrateError::Numbering(scope));
        }
        for step in &migrations.steps {
            match taken.remove(&key(scope, step.number)) {
                Some((_, checksum)) if checksum == step.checksum() => report.present += 1,
                Some(_) => return Err(MigrateError::Changed(step.label(scope))),
                None => missing.push((scope, step)),
            }
        }
    }
    for ((scope, number), (name, _)) in taken {
        if scopes.iter().any(|known| known.scope == scope) {
            report.unknown.push(label(&scope, number, &name));
        }
    }
    Ok((report, missing))
}

type Taken = BTreeMap<(String, u32), (String, Vec<u8>)>;

fn key(scope: &str, number: u32) -> (String, u32) {
    (scope.to_owned(), number)
}

async fn taken(db: &Db) -> Result<Taken, SqlError> {
    let exists = match db.engine() {
        Engine::Sqlite => "select 1 from sqlite_master where type = 'table' and name = $1",
        Engine::Postgres => {
            "select 1 from pg_catalog.pg_tables where schemaname = current_schema() and tablename = $1"
        }
    };
    let table = db.opt(exists, params!["stanchion_migrations"]).await?;
    if table.is_none() {
        return Ok(Taken::new());
    }
    let sql = "select scope, number, name, checksum from stanchion_migrations";
    let rows = db.query(sql, params![]).await?;
    rows.iter()
        .map(|row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?))))
        .collect()
}

/// False if another process was quicker.
async fn take(db: &Db, scope: &str, step: &Migration) -> Result<bool, MigrateError> {
    let known = "select count(*) from stanchion_migrations where scope = $1 and number = $2";
    let record = "insert into stanchion_migrations (scope, number, name, checksum, applied_at)
                  values ($1, $2, $3, $4, $5)";
    let recorded = params![scope, step.number, step.name, step.checksum(), clock::now()];
    let steps = Steps {
        asked: Some((known, params![scope, step.number])),
        script: step.up,
        last: (record, recorded),
    };
    steps.run(db).await.map_err(|error| MigrateError::Step {
        step: step.label(scope),
        error,
    })
}

async fn take_back(db: &Db, scope: &str, step: &Migration) -> Result<bool, MigrateError> {
    let forget = "delete from stanchion_migrations where scope = $1 and number = $2";
    let steps = Steps {
        asked: None,
        script: step.down,
        last: (forget, params![scope, step.number]),
    };
    steps.run(db).await.map_err(|error| MigrateError::Step {
        step: format!("{} (down)", step.label(scope)),
        error,
    })
}

/// One transaction: unless a count says that it is done already, a script and a statement.
struct Steps {
    asked: Option<(&'static str, Params)>,
    script: &'static str,
    last: (&'static str, Params),
}

impl Steps {
    async fn run(self, db: &Db) -> Result<bool, SqlError> {
        match db.engine() {
            Engine::Sqlite => self.run_on_sqlite(db).await,
            Engine::Postgres => self.run_on_postgres(db).await,
        }
    }

    async fn run_on_sqlite(self, db: &Db) -> Result<bool, SqlError> {
        let asked = self.asked.map(|(sql, params)| (db.statement(sql), params));
        let last = (db.statement(self.last.0), self.last.1);
        let script = self.script;
        db.sqlite()?
            .write_within(STEP_MAX, move |conn| {
                crate::sqlite::script(conn, TABLE)?;
                if let Some(asked) = &asked {
                    let count = crate::sqlite::run(conn, asked)?.at_most_one()?;
                    if count.map_or(Ok(0), |row| row.get::<i64>(0))? > 0 {
                        return Ok(false);
                    }
                }
                crate::sqlite::script(conn, script)?;
                crate::sqlite::run(conn, &last)?;
                Ok(true)
            })
            .await
    }

    async fn run_on_postgres(self, db: &Db) -> Result<bool, SqlError> {
        let tx = db.begin();
        // The wait for another process that migrates is as long as its migration.
        let patient = format!(
            "set local statement_timeout = {max}; set local lock_timeout = {max}; {LOCK}; {TABLE}",
            max = STEP_MAX.as_millis()
        );
        script(&tx, &patient).await?;
        if let Some((sql, params)) = self.asked
            && tx.one(sql, params).await?.get::<i64>(0)? > 0
        {
            tx.rollback().await?;
            return Ok(false);
        }
        // From here on a lock that is not given soon must not hold up the traffic behind it.
        script(&tx, "set local lock_timeout = '5s'").await?;
        script(&tx, self.script).await?;
        tx.queue(self.last.0, self.last.1);
        tx.commit().await?;
        Ok(true)
    }
}

async fn script(tx: &crate::Tx, sql: &str) -> Result<(), SqlError> {
    let client = tx.postgres().await?;
    let done = client.batch_execute(sql).await;
    done.map_err(|error| crate::postgres::sql_error(&error, sql))
}
