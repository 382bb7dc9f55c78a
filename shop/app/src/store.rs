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

use crate::platform::{MODULES, migrations, own_database};
use crate::settings::{DatabaseSection, Migrate, ModuleDatabase, ShopSettings};

/// What a module cannot work with less than: one connection that writes, one that reads meanwhile.
const CONNECTIONS_MIN: usize = 2;

/// The module with rows about people: what it deletes is gone from the file as well.
const PEOPLE: &str = "identity";

/// What every module stands on.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) db: Db,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) inbox: Arc<dyn Inbox>,
    pub(crate) consumers: Arc<dyn ConsumerStore>,
}

/// How a module's store is to be opened.
pub(crate) struct Opening<'a> {
    pub(crate) module: &'a str,
    pub(crate) migrations: &'a [Migrations],
    pub(crate) shared: &'a DatabaseSection,
    pub(crate) own: &'a ModuleDatabase,
}

impl Opening<'_> {
    /// The store of a service, its schema as new as this binary.
    pub(crate) async fn for_service(&self) -> anyhow::Result<Store> {
        let db = open_database(self.module, self.shared, self.own).await?;
        let automatic = db.engine() == Engine::Sqlite;
        let mode = match self.shared.migrate {
            Some(Migrate::Check) => Mode::Check,
            Some(Migrate::Auto) => Mode::Auto,
            None if automatic => Mode::Auto,
            None => Mode::Check,
        };
        self.migrated(&db, mode).await?;
        if automatic {
            // An embedded store has one process: who claimed a request before is gone.
            SqlInbox::new(db.clone()).release_all().await?;
        }
        Store::on(db).await
    }

    /// The store as it is, beside the process that has it open.
    ///
    /// An embedded one can only be read: it belongs to that process.
    pub(crate) async fn for_operator(&self) -> anyhow::Result<Store> {
        let db = look_into(self.module, self.shared, self.own).await?;
        self.migrated(&db, Mode::Check).await?;
        Store::on(db).await
    }

    /// An empty one that goes away with the process.
    pub(crate) async fn empty(&self) -> anyhow::Result<Store> {
        let db = Db::memory(self.module)?;
        self.migrated(&db, Mode::Auto).await?;
        Store::on(db).await
    }

    async fn migrated(&self, db: &Db, mode: Mode) -> anyhow::Result<()> {
        let done = migrate(db, self.migrations, mode).await;
        done.with_context(|| format!("the schema of {} is not this binary's", self.module))?;
        Ok(())
    }
}

impl Store {
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

/// A module's store as it is, for a look beside the process that has it open.
pub(crate) async fn look_into_store(
    settings: &ShopSettings,
    module: &'static str,
) -> Result<Store, String> {
    let opening = Opening {
        module,
        migrations: &migrations(module),
        shared: &settings.database,
        own: own_database(settings, module),
    };
    let opened = opening.for_operator().await;
    opened.map_err(|error| format!("{error:#}"))
}

/// A module's database for reading, beside the process that has it open; nothing is made.
pub(crate) async fn look_into(
    module: &str,
    shared: &DatabaseSection,
    own: &ModuleDatabase,
) -> anyhow::Result<Db> {
    let url = url_of(module, shared, own)?;
    if let Some(folder) = url.folder() {
        let there = folder.join(format!("{module}.db")).exists();
        anyhow::ensure!(
            there,
            "there is no store of {module} in {} yet: start the shop there (or `migrate`) first, or \
             name another place with database.url",
            folder.display()
        );
    }
    Db::open_read_only(&url, module, &DatabaseSettings::default())
        .await
        .with_context(|| format!("the store of {module} at {url}"))
}

/// A module's database; its own setting wins over the shared one.
pub(crate) async fn open_database(
    module: &str,
    shared: &DatabaseSection,
    own: &ModuleDatabase,
) -> anyhow::Result<Db> {
    let url = url_of(module, shared, own)?;
    // The bound is that of all modules together; one with a store of its own has it alone.
    let sharers = if own.url.is_some() { 1 } else { MODULES.len() };
    let settings = DatabaseSettings {
        statement_timeout: shared.statement_timeout,
        connections_max: share(shared.connections_max, sharers),
        overwrite_deleted: module == PEOPLE,
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

/// A module's part of what pools may open: less a writer for each log, and the listener.
fn share(connections_max: usize, sharers: usize) -> usize {
    let pooled = connections_max.saturating_sub(sharers + 1);
    (pooled / sharers).max(CONNECTIONS_MIN)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_modules_together_stay_within_the_bound() {
        let modules = MODULES.len();
        // From what the setting allows at least.
        for bound in 13..=1000 {
            let all = modules * (share(bound, modules) + 1) + 1;
            assert!(all <= bound && all + modules > bound, "{all} of {bound}");
        }
        assert_eq!(share(25, 1), 23);
    }
}
