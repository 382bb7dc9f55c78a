//! Numbered steps of a schema: up, down, checksummed, one process at a time.

mod lint;
mod run;
mod schema;

use std::fmt;

use sha2::{Digest, Sha256};

pub use self::lint::{Finding, lint};
pub use self::run::{migrate, migrate_down};
pub use self::schema::assert_down_restores;
use crate::{Engine, SqlError, log};

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
/// let applied = migrate(&db, &[stock.clone()], Mode::Auto).await?.applied; // the log's own, then stock
/// assert_eq!(applied.last().unwrap(), "inventory/0001 stock");
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigrateReport {
    /// The steps taken now, as `scope/number name`.
    pub applied: Vec<String>,
    /// How many had been taken before.
    pub present: usize,
    /// Steps of the database that this binary does not know: a newer one was here. As long as steps only
    /// expand, an older binary goes on working beside it.
    pub unknown: Vec<String>,
}

/// Why the schema is not the binary's.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database cannot be reached.
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
    /// The embedded steps are not numbered 1, 2, 3 …, or a scope stands twice.
    #[error("the migrations of {0} are not numbered 1, 2, 3 …, or stand there twice")]
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

    /// Whose steps they are.
    #[must_use]
    pub fn scope(&self) -> &'static str {
        self.scope
    }

    /// The steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Migration] {
        &self.steps
    }

    /// The tables that every module's store has; [`migrate`] takes these steps first by itself.
    #[must_use]
    pub fn of_the_log(engine: Engine) -> Self {
        let steps = match engine {
            Engine::Sqlite => log::schema::SQLITE,
            Engine::Postgres => log::schema::POSTGRES,
        };
        let all = Self::new(log::schema::SCOPE);
        steps.iter().fold(all, |all, (number, name, up, down)| {
            all.with(*number, name, up, down)
        })
    }

    pub(crate) fn check_numbering(&self) -> Result<(), MigrateError> {
        let mut numbers = self.steps.iter().zip(1..);
        if numbers.all(|(step, wanted)| step.number == wanted) {
            Ok(())
        } else {
            Err(MigrateError::Numbering(self.scope))
        }
    }
}

impl Migration {
    /// SHA-256 of the up text, whatever its line ends.
    pub(crate) fn checksum(&self) -> Vec<u8> {
        Sha256::digest(self.up.replace("\r\n", "\n")).to_vec()
    }

    pub(crate) fn label(&self, scope: &str) -> String {
        label(scope, self.number, self.name)
    }
}

impl fmt::Display for MigrateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.applied {
            writeln!(f, "applied {step}")?;
        }
        for step in &self.unknown {
            writeln!(f, "unknown to this binary: {step}")?;
        }
        write!(
            f,
            "{} applied, {} present before",
            self.applied.len(),
            self.present
        )
    }
}

pub(crate) fn label(scope: &str, number: u32, name: &str) -> String {
    format!("{scope}/{number:04} {name}")
}
