//! A module's store: its database with log, inbox and consumers' rows in it.

use std::sync::Arc;

use anyhow::Context;
use stanchion::eventsourcing::EventLog;
use stanchion::messaging::{ConsumerStore, Inbox};
use stanchion::sql::{
    DatabaseSettings, DatabaseUrl, Db, Engine, Migrations, Mode, SqlConsumerStore, SqlInbox, SqlLog,
    migrate,
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
    let url = own.url.as_deref().unwrap_or(&shared.url);
    let url: DatabaseUrl = url.parse().with_context(|| format!("the store of {module}"))?;
    let settings = DatabaseSettings {
        statement_timeout: shared.statement_timeout,
        connections_max: shared.connections_max,
        ..DatabaseSettings::default()
    };
    Db::open(&url, module, &settings).await.with_context(|| format!("the store of {module}"))
}
