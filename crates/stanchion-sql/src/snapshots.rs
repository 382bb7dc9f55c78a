use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use stanchion_eventsourcing::{KeptState, LogError, Snapshots, StreamId, Version};
use uuid::Uuid;

use crate::{Db, Row, SqlError, params};

/// Snapshots in a module's store, one row a stream; every one of them may be deleted at any time.
#[derive(Clone, Debug)]
pub struct SqlSnapshots {
    db: Db,
}

/// What the column `data` holds.
#[derive(Serialize, Deserialize)]
struct Data<S> {
    event: Uuid,
    state: S,
}

impl SqlSnapshots {
    /// The snapshots of a store whose `stanchion` migrations are applied.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Deletes every snapshot that names `subject` in a personal value; how many there were.
    ///
    /// What is sealed in them is unreadable without the subject's key anyway: this is for what a
    /// state made of an opened value. It looks at all snapshots of the store.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn forget_subject(&self, subject: &str) -> Result<u64, SqlError> {
        let sql = r"delete from snapshot where data like $1 escape '\'";
        let named = format!(r#""subject":{}"#, Json::from(subject));
        let mut pattern = String::from("%");
        for letter in named.chars() {
            if matches!(letter, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.push('%');
        self.db.exec(sql, params![pattern]).await
    }
}

#[async_trait]
impl Snapshots for SqlSnapshots {
    async fn load(&self, stream: &StreamId) -> Result<Option<KeptState>, LogError> {
        let sql = "select version, schema, data from snapshot where stream = $1";
        let row = self.db.opt(sql, params![stream.key()]).await;
        let row = row.map_err(unavailable)?;
        row.map(|row| kept(&row)).transpose().map_err(unavailable)
    }

    async fn keep(&self, stream: &StreamId, kept: &KeptState) -> Result<(), LogError> {
        let sql = "insert into snapshot (stream, version, schema, data, at) \
                   values ($1, $2, $3, $4, $5) on conflict (stream) do update set \
                   version = excluded.version, schema = excluded.schema, data = excluded.data, \
                   at = excluded.at where snapshot.version < excluded.version \
                   or snapshot.schema <> excluded.schema";
        let data = Data {
            event: kept.event,
            state: &kept.state,
        };
        let data = serde_json::to_string(&data)
            .map_err(|error| LogError::Unavailable(error.to_string()))?;
        let at = stanchion_runtime::clock::now();
        let params = params![stream.key(), kept.version, kept.schema, data, at];
        self.db
            .exec(sql, params)
            .await
            .map(drop)
            .map_err(unavailable)
    }

    async fn discard(&self, stream: &StreamId, version: Version) -> Result<(), LogError> {
        let sql = "delete from snapshot where stream = $1 and version = $2";
        let done = self.db.exec(sql, params![stream.key(), version]).await;
        done.map(drop).map_err(unavailable)
    }
}

fn kept(row: &Row) -> Result<KeptState, SqlError> {
    // What is no JSON, or another one, is no event's state: it is discarded like any other that does not fit.
    let data: Data<Json> = row.json(2).unwrap_or(Data {
        event: Uuid::nil(),
        state: Json::Null,
    });
    Ok(KeptState {
        version: row.get(0)?,
        event: data.event,
        schema: row.get(1)?,
        state: data.state,
    })
}

fn unavailable(error: SqlError) -> LogError {
    LogError::Unavailable(error.to_string())
}
