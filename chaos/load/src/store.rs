//! The module's store: opened when it can be, with the tables of units of work and followers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use stanchion::eventsourcing::EventLog;
use stanchion::sql::{DatabaseSettings, DatabaseUrl, Db, Migrations, Mode, SqlLog, migrate};
use tokio_util::sync::CancellationToken;

pub(crate) const MODULE: &str = "chaos";

const UP: &str = "
    create table work_row (id uuid primary key, account text not null, cents bigint not null);
    create table account (name text primary key, n bigint not null, cents bigint not null);
    create table each_row (position bigint primary key, event_id uuid not null);
    create table fold_row (follower text not null, stream text not null, n bigint not null,
        version bigint not null, digest bigint not null, primary key (follower, stream));";

const DOWN: &str =
    "drop table fold_row; drop table each_row; drop table account; drop table work_row;";

/// A server that is just starting again is asked so often.
const OPEN_EVERY: Duration = Duration::from_millis(200);

/// A wait for a connection ends long before anybody is taken for stuck.
const ACQUIRE: Duration = Duration::from_secs(2);

/// The open store and its log.
pub(crate) struct Store {
    pub(crate) db: Db,
    pub(crate) log: Arc<dyn EventLog>,
}

pub(crate) async fn prepare(url: &DatabaseUrl) -> anyhow::Result<()> {
    let db = Db::open(url, MODULE, &DatabaseSettings::default()).await?;
    let tables = Migrations::new("load").with(1, "tables", UP, DOWN);
    migrate(&db, &[tables], Mode::Auto).await?;
    // The log's identity is made once, before anybody races for it.
    SqlLog::open(db.clone()).await.context("the log")?;
    db.close().await;
    Ok(())
}

impl Store {
    /// Tries until the server is there; `None` when told to leave before.
    pub(crate) async fn open(
        url: &DatabaseUrl,
        connections: usize,
        closing: &CancellationToken,
    ) -> Option<Self> {
        let settings = DatabaseSettings {
            connections_max: connections,
            acquire_timeout: ACQUIRE,
            ..DatabaseSettings::default()
        };
        loop {
            match Self::try_open(url, &settings).await {
                Ok(store) => return Some(store),
                Err(error) => eprintln!("not open yet: {error:#}"),
            }
            tokio::select! {
                () = closing.cancelled() => return None,
                () = tokio::time::sleep(OPEN_EVERY) => {}
            }
        }
    }

    async fn try_open(url: &DatabaseUrl, settings: &DatabaseSettings) -> anyhow::Result<Self> {
        let db = Db::open(url, MODULE, settings).await?;
        let log = Arc::new(SqlLog::open(db.clone()).await?);
        Ok(Self { db, log })
    }
}
