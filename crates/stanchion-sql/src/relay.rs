use std::time::Duration;

use async_trait::async_trait;
use stanchion_messaging::{ConsumerStore, LogId, Redrive, RelayState, RelayStore, StoreError};
use stanchion_runtime::{clock, id};
use uuid::Uuid;

use crate::lease::Lease;
use crate::{Db, Engine, Leases, SqlConsumerStore, SqlError, params};

/// The most wishes taken up at once.
const WISHES_MAX: i64 = 100;

/// A relay's lease, checkpoint and wishes, in its context's store.
///
/// On SQLite the lease is given to whoever asks: the file belongs to one process, and what a dead one held is free at once.
#[derive(Clone)]
pub struct SqlRelayStore {
    db: Db,
    leases: Leases,
    letters: SqlConsumerStore,
}

impl SqlRelayStore {
    /// The rows of a store whose `stanchion` migrations are applied.
    #[must_use]
    pub fn new(db: Db) -> Self {
        let leases = Leases::new(db.clone());
        let letters = SqlConsumerStore::new(db.clone());
        Self {
            db,
            leases,
            letters,
        }
    }

    /// The process that has the file open takes the lease from whoever had it.
    async fn take_local(&self, name: &str, ttl: Duration) -> Result<Option<i64>, SqlError> {
        let lease = self.leases.take(name, ttl).await?;
        if let Some(lease) = lease {
            return Ok(Some(lease.token()));
        }
        let sql = "update lease set token = token + 1 where name = $1 returning token";
        let row = self.db.opt(sql, params![name]).await?;
        let Some(token) = row.map(|row| row.get(0)).transpose()? else {
            return Ok(None);
        };
        let taken = Lease::of(name, token);
        let held = self.leases.renew(&taken, ttl).await?;
        Ok(held.then_some(token))
    }
}

#[async_trait]
impl RelayStore for SqlRelayStore {
    async fn take(&self, relay: &str, ttl: Duration) -> Result<Option<i64>, StoreError> {
        let name = lease(relay);
        let taken = match self.db.engine() {
            Engine::Sqlite => self.take_local(&name, ttl).await,
            Engine::Postgres => {
                let taken = self.leases.take(&name, ttl).await;
                taken.map(|lease| lease.map(|lease| lease.token()))
            }
        };
        taken.map_err(failed)
    }

    async fn renew(&self, relay: &str, token: i64, ttl: Duration) -> Result<bool, StoreError> {
        let held = Lease::of(lease(relay), token);
        self.leases.renew(&held, ttl).await.map_err(failed)
    }

    async fn release(&self, relay: &str, token: i64) -> Result<(), StoreError> {
        let held = Lease::of(lease(relay), token);
        self.leases.release(&held).await.map_err(failed)
    }

    async fn load(
        &self,
        relay: &str,
        log: LogId,
        token: i64,
    ) -> Result<Option<RelayState>, StoreError> {
        let sql = "insert into relay (name, log, token, position, state, at) values ($1, $2, $3, 0, $4, $5) \
                   on conflict (name, log) do update set token = excluded.token \
                   where relay.token <= excluded.token returning state";
        let fresh = text(&RelayState::default())?;
        let params = params![relay, log, token, fresh, clock::now()];
        let row = self.db.opt(sql, params).await.map_err(failed)?;
        row.map(|row| row.json(0)).transpose().map_err(failed)
    }

    async fn save(
        &self,
        relay: &str,
        log: LogId,
        token: i64,
        state: &RelayState,
    ) -> Result<bool, StoreError> {
        let sql = "update relay set position = $4, state = $5, at = $6 \
                   where name = $1 and log = $2 and token = $3";
        let (position, state) = (state.through.position, text(state)?);
        let params = params![relay, log, token, position, state, clock::now()];
        let saved = self.db.exec(sql, params).await.map_err(failed)?;
        Ok(saved == 1)
    }

    fn letters(&self) -> &dyn ConsumerStore {
        &self.letters
    }

    async fn wish(&self, relay: &str, wish: &Redrive) -> Result<(), StoreError> {
        let sql = "insert into redrive (id, relay, wish, at) values ($1, $2, $3, $4)";
        let params = params![id::new_v7(), relay, text(wish)?, clock::now()];
        self.db.exec(sql, params).await.map(drop).map_err(failed)
    }

    async fn wishes(&self, relay: &str) -> Result<Vec<(Uuid, Redrive)>, StoreError> {
        let sql = "select id, wish from redrive where relay = $1 order by at, id limit $2";
        let rows = self.db.query(sql, params![relay, WISHES_MAX]).await;
        let rows = rows.map_err(failed)?;
        let wishes = rows.iter().map(|row| Ok((row.get(0)?, row.json(1)?)));
        wishes.collect::<Result<_, SqlError>>().map_err(failed)
    }

    async fn granted(&self, relay: &str, wishes: &[Uuid]) -> Result<(), StoreError> {
        let tx = self.db.begin();
        for wish in wishes {
            let sql = "delete from redrive where id = $1 and relay = $2";
            tx.queue(sql, params![*wish, relay]);
        }
        tx.commit().await.map_err(failed)
    }
}

fn lease(relay: &str) -> String {
    format!("relay/{relay}")
}

fn text(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError(error.to_string()))
}

fn failed(error: SqlError) -> StoreError {
    StoreError(error.to_string())
}
