//! One facade over SQLite and PostgreSQL, and what a context keeps in them.
//!
//! [`Db`] is one module's database, [`Tx`] a transaction on it. SQL is written once: `$1` placeholders,
//! [`Value`]s that both databases store, the same column types in the same DDL (`uuid`, `timestamptz`,
//! `json`, `bytea`, `bigint`, `boolean`, `text`). Text goes into `text` columns only: SQLite turns
//! number-like text into numbers in columns of another type.
//!
//! ```
//! use stanchion_sql::{Db, params};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion_sql::SqlError> {
//! let db = Db::memory("inventory")?;
//! db.script("create table stock (sku text primary key, free bigint not null)").await?;
//! let tx = db.begin();                                  // nothing is sent yet
//! tx.queue("insert into stock (sku, free) values ($1, $2)", params!["lamp", 5]);
//! tx.commit().await?;                                   // one round trip
//! let row = db.one("select free from stock where sku = $1", params!["lamp"]).await?;
//! assert_eq!(row.get::<i64>(0)?, 5);
//! # Ok(()) }
//! ```

mod consumers;
mod db;
mod error;
mod inbox;
mod jobs;
mod lease;
mod list;
mod log;
mod metrics;
mod migrate;
mod postgres;
mod processes;
mod projector;
mod pruning;
mod query;
mod relay;
mod row;
mod settings;
mod snapshots;
mod sqlite;
mod statement;
mod subjects;
mod transfer;
mod tx;
mod url;
mod value;
mod verify;
mod work;

pub use consumers::SqlConsumerStore;
pub use db::{Db, DbStatus};
pub use error::{SqlError, UniqueViolation};
pub use inbox::SqlInbox;
pub use jobs::{Job, Occurrence};
pub use lease::{Lease, LeaseError, Leases};
pub use list::List;
pub use log::SqlLog;
pub use migrate::{
    Finding, MigrateError, MigrateReport, Migration, Migrations, Mode, assert_down_restores, lint,
    migrate, migrate_down,
};
pub use postgres::{Connections, connections};
pub use processes::{ProcessRows, SqlProcesses};
pub use projector::{Behind, Projector, ProjectorError, SqlCheckpoints};
pub use query::Query;
pub use relay::SqlRelayStore;
pub use row::Row;
pub use settings::DatabaseSettings;
pub use snapshots::SqlSnapshots;
pub use subjects::{MasterKeyError, SqlVault};
pub use transfer::{TransferError, Transferred, export, import};
pub use tx::Tx;
pub use url::{DatabaseUrl, Engine, InvalidDatabaseUrl};
pub use value::{FromValue, Params, Value};
pub use verify::{LogFinding, LogReport, verify_log};
pub use work::{Committed, UnitOfWork, WorkError};

pub use {rusqlite, tokio_postgres};
