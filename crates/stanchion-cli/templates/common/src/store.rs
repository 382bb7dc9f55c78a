//! A context's store: its database with log, inbox and consumers' rows in it.

use std::sync::Arc;

use anyhow::Context;
use stanchion::eventsourcing::EventLog;
use stanchion::messaging::{ConsumerStore, Inbox, MemoryBroker, Subscriber};
use stanchion::server::{Module, Options, Purpose};
use stanchion::sql::{
    DatabaseSettings, DatabaseUrl, Db, Engine, Migrations, Mode, SqlConsumerStore, SqlInbox,
    SqlLog, migrate, params,
};

use crate::settings::Settings;

/// What a context stands on.
#[derive(Clone)]
pub struct Store {
    /// Its tables.
    pub db: Db,
    /// What happened, in that database.
    pub log: Arc<dyn EventLog>,
    /// What was dealt with, in that database.
    pub inbox: Arc<dyn Inbox>,
    /// Its consumers' rows, in that database.
    pub consumers: Arc<dyn ConsumerStore>,
    /// Where others' contracts come from.
    pub broker: Arc<dyn Subscriber>,
}

impl Store {
    /// The store of a running service, its schema as new as this binary: applied on SQLite, demanded on PostgreSQL,
    /// where `migrate` is a step of the deployment. Without running it is empty and in memory.
    pub(crate) async fn open(
        context: &str,
        own: Migrations,
        settings: &Settings,
        options: &Options,
        broker: Arc<dyn Subscriber>,
    ) -> anyhow::Result<Self> {
        if options.purpose == Purpose::Describe {
            return Self::empty(context, own).await;
        }
        let db = Self::connect(context, settings).await?;
        let embedded = db.engine() == Engine::Sqlite;
        let mode = if embedded { Mode::Auto } else { Mode::Check };
        let done = migrate(&db, &[own], mode).await;
        done.with_context(|| format!("the schema of {context} is not this binary's; run `migrate`"))?;
        if embedded && options.purpose == Purpose::Run {
            // An embedded store has one process: who claimed a request before is gone.
            SqlInbox::new(db.clone()).release_all().await?;
        }
        Self::on(db, broker).await
    }

    /// An empty one in memory, for tests and for looking at routes.
    ///
    /// # Errors
    /// The migrations do not apply.
    pub async fn empty(context: &str, own: Migrations) -> anyhow::Result<Self> {
        let db = Db::memory(context)?;
        migrate(&db, &[own], Mode::Auto).await?;
        Self::on(db, Arc::new(MemoryBroker::new())).await
    }

    /// Its database alone.
    pub(crate) async fn connect(context: &str, settings: &Settings) -> anyhow::Result<Db> {
        let url: DatabaseUrl = settings.database.url.parse().context("database.url")?;
        if let Some(folder) = url.folder() {
            let made = std::fs::create_dir_all(folder);
            made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        let settings = DatabaseSettings {
            statement_timeout: settings.database.statement_timeout,
            connections_max: settings.database.connections_max,
            ..DatabaseSettings::default()
        };
        let opened = Db::open(&url, context, &settings).await;
        opened.with_context(|| format!("the store of {context}"))
    }

    /// The module with what it keeps here: readiness, log, inbox, consumers.
    pub(crate) fn under(&self, module: Module) -> Module {
        let db = self.db.clone();
        module
            .inbox(Arc::clone(&self.inbox))
            .log(Arc::clone(&self.log))
            .consumers(Arc::clone(&self.consumers))
            .ready_when("database", move || {
                let db = db.clone();
                async move {
                    let answered = db.one("select 1", params![]).await;
                    answered.map(drop).map_err(|error| error.to_string())
                }
            })
    }

    async fn on(db: Db, broker: Arc<dyn Subscriber>) -> anyhow::Result<Self> {
        Ok(Self {
            log: Arc::new(SqlLog::open(db.clone()).await?),
            inbox: Arc::new(SqlInbox::new(db.clone())),
            consumers: Arc::new(SqlConsumerStore::new(db.clone())),
            db,
            broker,
        })
    }
}
