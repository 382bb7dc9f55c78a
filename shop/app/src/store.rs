//! A module's store: its database with log, inbox and consumers' rows in it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use stanchion::eventsourcing::EventLog;
use stanchion::messaging::{ConsumerStore, Inbox};
use stanchion::sql::{
    DatabaseSettings, DatabaseUrl, Db, Engine, Migrations, Mode, SqlConsumerStore, SqlInbox,
    SqlLog, migrate,
};

use crate::settings::{DatabaseSection, Migrate, ModuleDatabase};

/// What every module stands on.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) db: Db,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) inbox: Arc<dyn Inbox>,
    pub(crate) consumers: Arc<dyn ConsumerStore>,
}

impl Store {
    /// Opens a module's store, its schema as new as this binary.
    pub(crate) async fn open(
        module: &str,
        migrations: &[Migrations],
        shared: &DatabaseSection,
        own: &ModuleDatabase,
    ) -> anyhow::Result<Self> {
        let db = open_database(module, shared, own).await?;
        let automatic = db.engine() == Engine::Sqlite;
        let mode = match shared.migrate {
            Some(Migrate::Check) => Mode::Check,
            Some(Migrate::Auto) => Mode::Auto,
            None if automatic => Mode::Auto,
            None => Mode::Check,
        };
        migrate(&db, migrations, mode)
            .await
            .with_context(|| format!("the schema of {module} is not this binary's"))?;
        if automatic {
            // An embedded store has one process: who claimed a request before is gone.
            SqlInbox::new(db.clone()).release_all().await?;
        }
        Self::on(db).await
    }

    /// The store as it is, for an operator's look beside the process that has it open; an empty one
    /// when there is none yet.
    pub(crate) async fn look(
        module: &str,
        migrations: &[Migrations],
        shared: &DatabaseSection,
        own: &ModuleDatabase,
    ) -> anyhow::Result<Self> {
        let url = url_of(module, shared, own)?;
        match Db::open_read_only(&url, module, &DatabaseSettings::default()).await {
            Ok(db) => Self::on(db).await,
            Err(_) => {
                let empty = Db::memory(module)?;
                migrate(&empty, migrations, Mode::Auto).await?;
                Self::on(empty).await
            }
        }
    }

    async fn on(db: Db) -> anyhow::Result<Self> {
        let log = SqlLog::open(db.clone()).await?;
        Ok(Self {
            inbox: Arc::new(SqlInbox::new(db.clone())),
            consumers: Arc::new(SqlConsumerStore::new(db.clone())),
            log: Arc::new(log),
            db,
        })
    }
}

/// A module's database; its own setting wins over the shared one.
pub(crate) async fn open_database(
    module: &str,
    shared: &DatabaseSection,
    own: &ModuleDatabase,
) -> anyhow::Result<Db> {
    let url = url_of(module, shared, own)?;
    let settings = DatabaseSettings {
        statement_timeout: shared.statement_timeout,
        connections_max: shared.connections_max,
        ..DatabaseSettings::default()
    };
    Db::open(&url, module, &settings)
        .await
        .with_context(|| format!("the store of {module}"))
}

/// A module's database for an operator's work on it: beside the running shop when it is only looked at.
pub(crate) async fn open_for_operators(
    module: &str,
    shared: &DatabaseSection,
    own: &ModuleDatabase,
    statement_timeout: Duration,
    write: bool,
) -> anyhow::Result<Db> {
    let url = url_of(module, shared, own)?;
    let settings = DatabaseSettings {
        statement_timeout,
        ..DatabaseSettings::default()
    };
    let opened = if write {
        Db::open(&url, module, &settings).await
    } else {
        Db::open_read_only(&url, module, &settings).await
    };
    opened.with_context(|| format!("the store of {module}"))
}

fn url_of(
    module: &str,
    shared: &DatabaseSection,
    own: &ModuleDatabase,
) -> anyhow::Result<DatabaseUrl> {
    let url = own.url.as_deref().unwrap_or(&shared.url);
    url.parse()
        .with_context(|| format!("the store of {module}"))
}
