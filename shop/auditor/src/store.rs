//! What stands in the stores, read as it is.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::Value;
use stanchion::sql::{DatabaseSettings, DatabaseUrl, Db, params};
use uuid::Uuid;

use crate::gateway::{self, Intent};
use crate::projections::{self, Listed};

/// The contexts, each with a store of its own.
pub(crate) const MODULES: [&str; 4] = ["identity", "inventory", "orders", "payments"];

/// Everything that was read.
pub(crate) struct Books {
    pub(crate) stores: Vec<Store>,
    pub(crate) listed: Listed,
    /// The gateway's own books; `None` when it keeps them elsewhere.
    pub(crate) intents: Option<Vec<Intent>>,
}

/// One module's store.
pub(crate) struct Store {
    pub(crate) module: &'static str,
    pub(crate) log: Uuid,
    pub(crate) events: Vec<Event>,
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// Consumer, state and reason of each message that was put aside.
    pub(crate) parked: Vec<(String, String, String)>,
    /// Category and name of each timer that is still set.
    pub(crate) timers: Vec<(String, String)>,
}

/// An entry of a log.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) position: i64,
    pub(crate) stream: Uuid,
    pub(crate) version: i64,
    pub(crate) id: Uuid,
    pub(crate) category: String,
    /// The stream's name: an order's id, a SKU; empty if the stream is not known.
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

/// How far somebody read a log.
pub(crate) struct Checkpoint {
    pub(crate) name: String,
    pub(crate) log: Uuid,
    pub(crate) position: i64,
}

impl Books {
    pub(crate) async fn read(
        url: &DatabaseUrl,
        gateway: Option<&DatabaseUrl>,
    ) -> anyhow::Result<Self> {
        let mut stores = Vec::new();
        let mut databases = BTreeMap::new();
        for module in MODULES {
            let db = open(url, module).await?;
            stores.push(
                Store::read(module, &db)
                    .await
                    .with_context(|| format!("the store of {module}"))?,
            );
            databases.insert(module, db);
        }
        let listed = projections::read(&databases).await?;
        Ok(Self {
            stores,
            listed,
            intents: match gateway {
                Some(gateway) => Some(gateway::read(gateway).await?),
                None => gateway::read_beside(url).await?,
            },
        })
    }

    pub(crate) fn events(&self, module: &str) -> &[Event] {
        let store = self.stores.iter().find(|store| store.module == module);
        store.map_or(&[], |store| &store.events)
    }
}

impl Store {
    async fn read(module: &'static str, db: &Db) -> anyhow::Result<Self> {
        let log = db
            .one("select id from feed", params![])
            .await?
            .get::<Uuid>(0)?;
        let sql = "select name, log, position from checkpoint order by name, log";
        let rows = db.query(sql, params![]).await?;
        let checkpoints = rows.iter().map(|row| {
            Ok(Checkpoint {
                name: row.get(0)?,
                log: row.get(1)?,
                position: row.get(2)?,
            })
        });
        let checkpoints = checkpoints.collect::<anyhow::Result<_>>()?;
        let sql = "select consumer, state, reason from parked order by consumer, seq";
        let rows = db.query(sql, params![]).await?;
        let parked = rows
            .iter()
            .map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let parked = parked.collect::<anyhow::Result<_>>()?;
        let rows = db
            .query("select category, name from timer", params![])
            .await?;
        let timers = rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?)));
        let timers = timers.collect::<anyhow::Result<_>>()?;
        Ok(Self {
            module,
            log,
            events: read_events(db).await?,
            checkpoints,
            parked,
            timers,
        })
    }

    pub(crate) fn head(&self) -> i64 {
        self.events.last().map_or(0, |event| event.position)
    }
}

impl Event {
    /// The text at a JSON pointer; empty if there is none.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.data
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The number at a JSON pointer, if there is one.
    pub(crate) fn number(&self, pointer: &str) -> Option<i64> {
        self.data.pointer(pointer).and_then(Value::as_i64)
    }
}

pub(crate) async fn open(url: &DatabaseUrl, module: &str) -> anyhow::Result<Db> {
    let db = Db::open_read_only(url, module, &DatabaseSettings::default()).await;
    db.with_context(|| format!("the store of {module} at {url}"))
}

async fn read_events(db: &Db) -> anyhow::Result<Vec<Event>> {
    let sql = "select e.position, e.stream, e.version, e.event_id, e.category, \
               coalesce(s.name, ''), e.type, e.data \
               from event e left join stream s on s.stream = e.stream order by e.position";
    let rows = db.query(sql, params![]).await?;
    let events = rows.iter().map(|row| {
        Ok(Event {
            position: row.get(0)?,
            stream: row.get(1)?,
            version: row.get(2)?,
            id: row.get(3)?,
            category: row.get(4)?,
            name: row.get(5)?,
            kind: row.get(6)?,
            data: row.json(7)?,
        })
    });
    events.collect()
}
