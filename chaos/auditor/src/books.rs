//! What stands in the tables, read as it is.

mod postgres;
mod sqlite;

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, bail};
use serde::Deserialize;
use uuid::Uuid;

/// Everything that was read.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// In the order of positions.
    pub(crate) events: Vec<Event>,
    pub(crate) inbox: Vec<Handled>,
    pub(crate) rows: Vec<WorkRow>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) each: Vec<(i64, Uuid)>,
    pub(crate) folds: Vec<Fold>,
    checkpoints: BTreeMap<String, i64>,
}

/// An entry of the log.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) position: i64,
    /// `category/name`; empty when the stream's name is not known.
    pub(crate) stream: String,
    pub(crate) category: String,
    pub(crate) version: i64,
    pub(crate) id: Uuid,
    /// Which append it belongs to, which part of how many it is.
    pub(crate) token: Uuid,
    pub(crate) part: i64,
    pub(crate) parts: i64,
    pub(crate) key: Option<String>,
    /// How many events of the stream the decision was made on.
    pub(crate) seen: Option<i64>,
    /// Account and cents of a unit of work.
    pub(crate) booked: Option<(String, i64)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Handled {
    pub(crate) key: String,
    pub(crate) position: Option<i64>,
}

#[derive(Clone, Debug)]
pub(crate) struct WorkRow {
    pub(crate) id: Uuid,
    pub(crate) account: String,
    pub(crate) cents: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) n: i64,
    pub(crate) cents: i64,
}

/// A follower's row of one stream; of everything when the stream is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fold {
    pub(crate) follower: String,
    pub(crate) stream: String,
    pub(crate) n: i64,
    pub(crate) version: i64,
    pub(crate) digest: i64,
}

/// An event's columns as both databases give them.
struct Raw {
    position: i64,
    category: String,
    name: Option<String>,
    version: i64,
    id: Uuid,
    data: String,
}

/// What writers put into every event.
#[derive(Deserialize)]
struct Content {
    token: Uuid,
    part: i64,
    parts: i64,
    key: Option<String>,
    seen: Option<i64>,
    account: Option<String>,
    cents: Option<i64>,
}

impl Books {
    /// Reads the store of `module` at `sqlite://DIR` or `postgres://…`.
    ///
    /// # Errors
    /// It cannot be read at all; what can be read but does not add up is for the judge.
    pub async fn read(url: &str, module: &str) -> anyhow::Result<Self> {
        let mut books = match url.strip_prefix("sqlite://") {
            Some(folder) => sqlite::read(folder, module),
            None if url.starts_with("postgres") => postgres::read(url, module).await,
            None => bail!("a database is `sqlite://DIR` or `postgres://…`"),
        }
        .with_context(|| format!("the store of {module} at {url}"))?;
        books.events.sort_by_key(|event| event.position);
        Ok(books)
    }

    pub(crate) fn head(&self) -> i64 {
        self.events.last().map_or(0, |event| event.position)
    }

    pub(crate) fn streams(&self) -> usize {
        let names: HashSet<_> = self.events.iter().map(|event| &event.stream).collect();
        names.len()
    }

    /// How far a follower came; `None` when it never began.
    pub(crate) fn checkpoint(&self, follower: &str) -> Option<i64> {
        self.checkpoints
            .get(&format!("projection/{follower}"))
            .copied()
    }
}

impl Event {
    fn of(raw: Raw) -> anyhow::Result<Self> {
        let content: Content = serde_json::from_str(&raw.data)
            .with_context(|| format!("the event at position {}", raw.position))?;
        Ok(Self {
            position: raw.position,
            stream: raw
                .name
                .map_or_else(String::new, |name| format!("{}/{name}", raw.category)),
            category: raw.category,
            version: raw.version,
            id: raw.id,
            token: content.token,
            part: content.part,
            parts: content.parts,
            key: content.key,
            seen: content.seen,
            booked: content.account.zip(content.cents),
        })
    }
}
