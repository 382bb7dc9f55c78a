use stanchion_eventsourcing::{Checkpoint, LogId};
use stanchion_runtime::clock;

use crate::{Db, Query, Row, SqlError, Tx, params};

/// Where a projection's rows go: the live tables, or others of the same names beside them.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) db: Db,
    /// PostgreSQL: the schema whose tables stand before the module's own.
    schema: Option<String>,
    /// The checkpoint's name, and under which its parked entries are.
    pub(super) name: String,
    pub(super) replay: bool,
}

/// The checkpoint's name of a projection.
pub(super) fn live_name(projection: &str) -> String {
    format!("projection/{projection}")
}

/// The name of what is kept beside it.
pub(super) fn name_of(projection: &str, what: &str) -> String {
    format!("projection/{projection}/{what}")
}

impl Target {
    pub(super) fn live(db: Db, projection: &str) -> Self {
        Self {
            db,
            schema: None,
            name: live_name(projection),
            replay: false,
        }
    }

    /// Tables in `schema` of a PostgreSQL database, or in a SQLite database of their own.
    pub(super) fn shadow(db: Db, schema: Option<String>, name: String) -> Self {
        Self {
            db,
            schema,
            name,
            replay: true,
        }
    }

    pub(super) fn begin(&self) -> Tx {
        let tx = self.db.begin().replaying(self.replay);
        if let Some(schema) = &self.schema {
            // Statements name tables without a schema; their plans are made anew for another path.
            let path = format!(
                "set local search_path = \"{schema}\", \"{}\"",
                self.db.module()
            );
            tx.queue(&path, params![]);
        }
        tx
    }

    /// Every checkpoint of its name.
    pub(super) async fn checkpoints(&self) -> Result<Vec<Checkpoint>, SqlError> {
        stored(&self.db, &self.name).await
    }

    /// Its checkpoint before the first entry, unless there is one.
    pub(super) async fn start(&self, log: LogId) -> Result<(), SqlError> {
        let sql = "insert into checkpoint (name, log, position, at) values ($1, $2, 0, $3) \
                   on conflict (name, log) do nothing";
        let params = params![self.name.as_str(), log, clock::now()];
        self.db.exec(sql, params).await.map(drop)
    }

    /// Moves the checkpoint, as the first statement of a batch: a second projector waits here, and finds that the
    /// position is no longer `from`; the null that it then writes is refused, and with it the whole batch.
    pub(super) fn queue_move(&self, tx: &Tx, from: &Checkpoint, to: &Checkpoint) {
        let sql = "update checkpoint set \
                   position = case when position = $5 then cast($3 as bigint) else null end, \
                   event_id = $6, at = $4 where name = $1 and log = $2";
        let name = self.name.as_str();
        let (now, event) = (clock::now(), to.event);
        tx.queue(
            sql,
            params![name, to.log, to.position, now, from.position, event],
        );
        if self.schema.is_some() {
            // Without its checkpoint the tables beside are gone, and their names would mean the live ones: a division
            // by zero keeps the batch from them.
            let there = "select 1 / count(*) from checkpoint where name = $1 and log = $2";
            tx.queue(there, params![name, to.log]);
        }
    }
}

/// Every checkpoint of that name.
pub(super) async fn stored(db: &impl Query, name: &str) -> Result<Vec<Checkpoint>, SqlError> {
    let sql = "select log, position, event_id from checkpoint where name = $1";
    let rows = db.query(sql, params![name]).await?;
    rows.iter().map(checkpoint).collect()
}

/// Log, position and event.
pub(super) fn checkpoint(row: &Row) -> Result<Checkpoint, SqlError> {
    Ok(Checkpoint {
        log: row.get(0)?,
        position: row.get(1)?,
        event: row.get(2)?,
    })
}
