use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::log::schema;
use crate::{Db, Engine, Query, Row, SqlError, Tx, params};

/// PostgreSQL's lock for migrating, one a cluster: two processes never migrate at the same time.
const LOCK: i64 = 0x7374_616e_6368;

/// One step of a schema, and the way back.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its number: 1, 2, 3 … within the scope, without a hole.
    pub number: u32,
    /// What it does, in a few words.
    pub name: &'static str,
    /// The SQL that takes the step.
    pub up: &'static str,
    /// The SQL that takes it back.
    pub down: &'static str,
}

/// A module's schema: numbered steps, embedded in the binary.
///
/// ```
/// use stanchion_sql::{Db, Migrations, Mode, migrate};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion_sql::MigrateError> {
/// let up = "create table stock (sku text primary key, free bigint not null)";
/// let stock = Migrations::new("inventory").with(1, "stock", up, "drop table stock");
/// let db = Db::memory("inventory")?;
/// assert_eq!(migrate(&db, &[stock.clone()], Mode::Auto).await?.applied.len(), 2); // the log's own, then stock
/// assert!(migrate(&db, &[stock], Mode::Check).await?.applied.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Migrations {
    scope: &'static str,
    steps: Vec<Migration>,
}

/// What to do about missing steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Take them.
    Auto,
    /// Refuse: somebody takes them before the service starts.
    Check,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct MigrateReport {
    /// The steps taken now, as `scope/number name`.
    pub applied: Vec<String>,
    /// How many had been taken before.
    pub present: usize,
}

/// Why the schema is not the binary's.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database cannot be reached, or a step's SQL failed.
    #[error("{0}")]
    Sql(#[from] SqlError),
    /// A step's SQL failed; nothing of the step happened.
    #[error("migration {step} failed and was rolled back: {error}")]
    Step {
        /// Which.
        step: String,
        /// Why.
        error: SqlError,
    },
    /// Steps are missing and the mode forbids taking them.
    #[error("missing migrations: {}; run the `migrate` command first", .0.join(", "))]
    Missing(Vec<String>),
    /// A step that was taken reads differently now.
    #[error("migration {0} was changed after it had been applied; add a new one instead")]
    Changed(String),
    /// The database has a step that this binary does not know: it is older than its database.
    #[error("the database has migration {0}, which this binary does not know; start a newer one")]
    Unknown(String),
    /// The embedded steps are not numbered 1, 2, 3 …
    #[error("the migrations of {0} are not numbered 1, 2, 3 …")]
    Numbering(&'static str),
}

impl Migrations {
    /// No steps yet; the scope is the module's name, the same for ever.
    #[must_use]
    pub fn new(scope: &'static str) -> Self {
        Self {
            scope,
            steps: Vec::new(),
        }
    }

    /// Adds the next step.
    #[must_use]
    pub fn with(
        mut self,
        number: u32,
        name: &'static str,
        up: &'static str,
        down: &'static str,
    ) -> Self {
        self.steps.push(Migration {
            number,
            name,
            up,
            down,
        });
        self
    }

    /// The steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Migration] {
        &self.steps
    }

    /// The tables that every module's store has.
    fn of_the_log(engine: Engine) -> Self {
        let steps = match engine {
            Engine::Sqlite => schema::SQLITE,
            Engine::Postgres => schema::POSTGRES,
        };
        let all = Self::new(schema::SCOPE);
        steps.iter().fold(all, |all, (number, name, up, down)| {
            all.with(*number, name, up, down)
        })
    }

    fn check_numbering(&self) -> Result<(), MigrateError> {
        let numbered = self
            .steps
            .iter()
            .zip(1..)
            .all(|(step, wanted)| step.number == wanted);
        if numbered {
            Ok(())
        } else {
            Err(MigrateError::Numbering(self.scope))
        }
    }
}

impl Migration {
    fn checksum(&self) -> Vec<u8> {
        Sha256::digest(self.up).to_vec()
    }

    fn label(&self, scope: &str) -> String {
        format!("{scope}/{:04} {}", self.number, self.name)
    }
}

impl fmt::Display for MigrateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.applied {
            writeln!(f, "applied {step}")?;
        }
        write!(
            f,
            "{} applied, {} present before",
            self.applied.len(),
            self.present
        )
    }
}

/// Brings a module's schema to what the binary knows: the log's tables first, then `migrations`.
///
/// Each step is one transaction; a process that dies in between goes on where it stopped. Processes
/// that migrate at the same time take turns.
///
/// # Errors
/// See [`MigrateError`].
pub async fn migrate(
    db: &Db,
    migrations: &[Migrations],
    mode: Mode,
) -> Result<MigrateReport, MigrateError> {
    let own = Migrations::of_the_log(db.engine());
    let all: Vec<&Migrations> = std::iter::once(&own).chain(migrations).collect();
    all.iter().try_for_each(|scope| scope.check_numbering())?;
    make_table(db).await?;
    let mut report = MigrateReport::default();
    let mut missing = Vec::new();
    for scope in all {
        for step in &scope.steps {
            if mode == Mode::Check {
                if taken(db, scope.scope).await?.contains_key(&step.number) {
                    report.present += 1;
                } else {
                    missing.push(step.label(scope.scope));
                }
            } else if take(db, scope.scope, step).await? {
                report.applied.push(step.label(scope.scope));
            } else {
                report.present += 1;
            }
        }
        verify(db, scope).await?;
    }
    if missing.is_empty() {
        Ok(report)
    } else {
        Err(MigrateError::Missing(missing))
    }
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
    make_table(db).await?;
    let mut undone = Vec::new();
    for step in migrations.steps.iter().rev() {
        if undone.len() == count {
            break;
        }
        if taken(db, migrations.scope)
            .await?
            .contains_key(&step.number)
        {
            take_back(db, migrations.scope, step).await?;
            undone.push(step.label(migrations.scope));
        }
    }
    Ok(undone)
}

async fn make_table(db: &Db) -> Result<(), SqlError> {
    let exists = match db.engine() {
        Engine::Sqlite => {
            "select 1 from sqlite_master where type = 'table' and name = 'stanchion_migrations'"
        }
        Engine::Postgres => "select 1 where to_regclass('stanchion_migrations') is not null",
    };
    if db.opt(exists, params![]).await?.is_some() {
        return Ok(());
    }
    let made = db
        .script(
            "create table if not exists stanchion_migrations (scope text not null, \
             number bigint not null, name text not null, checksum bytea not null, \
             applied_at timestamptz not null, primary key (scope, number))",
        )
        .await;
    // Two processes that make it at the same time: one of them is told so, and it is there.
    match made {
        Err(_) if db.opt(exists, params![]).await?.is_some() => Ok(()),
        other => other,
    }
}

/// Takes a step unless it was taken before; one transaction, under the lock.
async fn take(db: &Db, scope: &str, step: &Migration) -> Result<bool, MigrateError> {
    let failed = |error| MigrateError::Step {
        step: step.label(scope),
        error,
    };
    let tx = db.begin();
    lock(&tx).await?;
    if steps_in(&tx, scope).await?.contains_key(&step.number) {
        return Ok(false);
    }
    for statement in statements(step.up) {
        tx.exec(statement, params![]).await.map_err(failed)?;
    }
    let sql = "insert into stanchion_migrations (scope, number, name, checksum, applied_at) \
               values ($1, $2, $3, $4, $5)";
    let now = stanchion_runtime::clock::now();
    tx.queue(
        sql,
        params![scope, step.number, step.name, step.checksum(), now],
    );
    tx.commit().await.map_err(failed)?;
    tracing::info!(module = db.module(), step = step.label(scope), "migrated");
    Ok(true)
}

async fn take_back(db: &Db, scope: &str, step: &Migration) -> Result<(), MigrateError> {
    let failed = |error| MigrateError::Step {
        step: format!("{} (down)", step.label(scope)),
        error,
    };
    let tx = db.begin();
    lock(&tx).await?;
    for statement in statements(step.down) {
        tx.exec(statement, params![]).await.map_err(failed)?;
    }
    let sql = "delete from stanchion_migrations where scope = $1 and number = $2";
    tx.queue(sql, params![scope, step.number]);
    tx.commit().await.map_err(failed)
}

async fn lock(tx: &Tx) -> Result<(), SqlError> {
    match tx.db().engine() {
        Engine::Sqlite => tx.flush().await,
        Engine::Postgres => {
            let sql = "select pg_advisory_xact_lock($1)";
            tx.query(sql, params![LOCK]).await.map(drop)
        }
    }
}

/// What was taken must be what the binary has, to the letter.
async fn verify(db: &Db, scope: &Migrations) -> Result<(), MigrateError> {
    for (number, (name, checksum)) in taken(db, scope.scope).await? {
        let label = format!("{}/{number:04} {name}", scope.scope);
        match scope.steps.iter().find(|step| step.number == number) {
            None => return Err(MigrateError::Unknown(label)),
            Some(step) if step.checksum() != checksum => return Err(MigrateError::Changed(label)),
            Some(_) => {}
        }
    }
    Ok(())
}

type Taken = BTreeMap<u32, (String, Vec<u8>)>;

async fn taken(db: &Db, scope: &str) -> Result<Taken, SqlError> {
    steps_in(db, scope).await
}

async fn steps_in(on: &impl Query, scope: &str) -> Result<Taken, SqlError> {
    let sql = "select number, name, checksum from stanchion_migrations where scope = $1";
    let rows = on.query(sql, params![scope]).await?;
    let pair = |row: &Row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)));
    rows.iter().map(pair).collect()
}

/// The statements of a file; a semicolon ends one only at the end of a line.
fn statements(sql: &str) -> impl Iterator<Item = &str> {
    let is_empty = |text: &str| {
        text.lines()
            .all(|line| line.trim().is_empty() || line.trim_start().starts_with("--"))
    };
    sql.split(";\n")
        .map(|text| text.trim().trim_end_matches(';'))
        .filter(move |text| !is_empty(text))
}
