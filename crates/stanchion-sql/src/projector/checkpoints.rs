use async_trait::async_trait;
use stanchion_eventsourcing::{Checkpoint, CheckpointStore};
use stanchion_messaging::StoreError;
use stanchion_runtime::clock;

use super::target::stored;
use crate::{Db, SqlError, params};

/// The checkpoints of subscriptions, in their module's store.
#[derive(Clone)]
pub struct SqlCheckpoints {
    db: Db,
}

impl SqlCheckpoints {
    /// The rows of a store whose `stanchion` migrations are applied.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl CheckpointStore for SqlCheckpoints {
    async fn load(&self, name: &str) -> Result<Vec<Checkpoint>, StoreError> {
        stored(&self.db, name).await.map_err(failed)
    }

    async fn save(&self, name: &str, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let sql = "insert into checkpoint (name, log, position, event_id, at) \
                   values ($1, $2, $3, $4, $5) on conflict (name, log) do update set \
                   position = excluded.position, event_id = excluded.event_id, at = excluded.at";
        let Checkpoint {
            log,
            position,
            event,
        } = *checkpoint;
        let params = params![name, log, position, event, clock::now()];
        self.db.exec(sql, params).await.map(drop).map_err(failed)
    }

    async fn remove(&self, name: &str) -> Result<(), StoreError> {
        let sql = "delete from checkpoint where name = $1";
        let removed = self.db.exec(sql, params![name]).await;
        removed.map(drop).map_err(failed)
    }
}

fn failed(error: SqlError) -> StoreError {
    StoreError(error.to_string())
}
