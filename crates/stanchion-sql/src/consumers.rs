mod marks;
mod rows;

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use jiff::Timestamp;
use stanchion_messaging::{
    AfterLastAttempt, ConsumerStore, DeadLetterFilter, LogId, Mark, Parked, ParkedState, Place,
    Position, StoreError,
};
use uuid::Uuid;

use self::rows::{
    COLUMNS, blocking, checkpoint, column_key, column_note, column_reason, head_of_key, insertion,
    is_hash, listed, listing, oldest_of_key, parked, state_name, state_of, trial, under_way_until,
};
use crate::{Db, Engine, Params, Row, SqlError, Tx, params};

/// The most parked messages one call lists.
const LIST_MAX: usize = 1_000;

/// Consumers' progress, retries and dead letters, in their module's store.
///
/// Progress and marks do not wait for PostgreSQL's disk (`synchronous_commit = off` for them alone): where its server
/// crashed, what came in the last moments is delivered or asked for again, and the inbox, which is as durable as the
/// effects, drops it. What is parked is durable when a call returns.
#[derive(Clone)]
pub struct SqlConsumerStore {
    db: Db,
}

impl SqlConsumerStore {
    /// The rows of a store whose `stanchion` migrations are applied.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Writes a [delayed message](Parked::delayed) with the rest of that transaction; one of its id that waits already
    /// stays as it is.
    ///
    /// # Errors
    /// The message does not serialise.
    pub fn queue_delayed(tx: &Tx, delayed: &Parked) -> Result<(), StoreError> {
        let (sql, params) = insertion(delayed, "do nothing")?;
        tx.queue(&sql, params);
        Ok(())
    }

    /// Inserts a parked message; `conflict` says what happens to one that is there.
    async fn insert(&self, parked: &Parked, conflict: &str) -> Result<(), StoreError> {
        let (sql, params) = insertion(parked, conflict)?;
        self.db.exec(&sql, params).await.map(drop).map_err(failed)
    }

    async fn parked(&self, sql: &str, params: Params) -> Result<Vec<Parked>, StoreError> {
        let rows = self.db.query(sql, params).await.map_err(failed)?;
        rows.iter()
            .map(parked)
            .collect::<Result<_, _>>()
            .map_err(failed)
    }
}

#[async_trait]
impl ConsumerStore for SqlConsumerStore {
    async fn takes_writes(&self, consumer: &str) -> Result<(), StoreError> {
        let tx = trial(self.db.begin(), consumer);
        tx.commit().await.map_err(failed)
    }

    async fn progress(&self, consumer: &str) -> Result<HashMap<LogId, Place>, StoreError> {
        let sql = "select log, position, event_id from checkpoint where name = $1";
        let rows = self
            .db
            .query(sql, params![checkpoint(consumer)])
            .await
            .map_err(failed)?;
        let pair = |row: &Row| {
            let (position, event) = (row.get(1)?, row.get(2)?);
            Ok((row.get(0)?, Place { position, event }))
        };
        rows.iter()
            .map(pair)
            .collect::<Result<_, SqlError>>()
            .map_err(failed)
    }

    async fn advance(&self, consumer: &str, log: LogId, to: Place) -> Result<(), StoreError> {
        let sql = "insert into checkpoint (name, log, position, event_id, at) \
                   values ($1, $2, $3, $4, $5) \
                   on conflict (name, log) do update set position = excluded.position, \
                   event_id = excluded.event_id, at = excluded.at where checkpoint.position < excluded.position";
        let params = params![
            checkpoint(consumer),
            log,
            to.position,
            to.event,
            stanchion_runtime::clock::now()
        ];
        let tx = self.db.begin();
        tx.queue_unhurried();
        tx.queue(sql, params);
        tx.commit().await.map_err(failed)
    }

    async fn begins(&self, consumer: &str, log: LogId, after: Position) -> Result<u32, StoreError> {
        let sql = "insert into consumer_start (consumer, log, position, times, at) values ($1, $2, $3, 1, $4) \
                   on conflict (consumer, log) do update set times = case \
                   when consumer_start.position = excluded.position then consumer_start.times + 1 else 1 end, \
                   position = excluded.position, at = excluded.at returning times";
        let now = stanchion_runtime::clock::now();
        let begun = self.db.query(sql, params![consumer, log, after, now]).await;
        let begun = begun.map_err(failed)?;
        let times = begun.first().map_or(Ok(0), |row| row.get::<u32>(0));
        Ok(times.map_err(failed)?.saturating_sub(1))
    }

    async fn ends(&self, consumer: &str, log: LogId, after: Position) -> Result<(), StoreError> {
        let sql = "update consumer_start set times = times - 1 \
                   where consumer = $1 and log = $2 and position = $3 and times > 0";
        let ended = self.db.exec(sql, params![consumer, log, after]).await;
        ended.map(drop).map_err(failed)
    }

    async fn marks(&self, consumer: &str) -> Result<Vec<Mark>, StoreError> {
        marks::read(&self.db, consumer).await.map_err(failed)
    }

    async fn settle(&self, consumer: &str, marks: &[Mark]) -> Result<(), StoreError> {
        let settled = marks::settle(&self.db, consumer, marks).await;
        settled.map_err(failed)
    }

    async fn blocked(
        &self,
        consumer: &str,
        keys: &[&str],
        after: AfterLastAttempt,
    ) -> Result<Vec<String>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut params = params![consumer];
        let stored: Vec<_> = keys.iter().map(|key| column_key(key)).collect();
        let list = listed(&mut params, stored.iter().map(|key| key.as_ref()));
        let state = blocking("state", after);
        let sql = format!(
            "select distinct key from parked where consumer = $1 and key in ({list}) and {state}"
        );
        let rows = self.db.query(&sql, params).await.map_err(failed)?;
        let found = rows.iter().map(|row| row.get::<String>(0));
        let found = found.collect::<Result<HashSet<_>, _>>().map_err(failed)?;
        let both = keys.iter().zip(stored);
        let blocked = both.filter(|(_, stored)| found.contains(stored.as_ref()));
        Ok(blocked.map(|(key, _)| (*key).to_owned()).collect())
    }

    async fn parked_keys(
        &self,
        consumer: &str,
        limit: usize,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let sql = "select distinct key from parked where consumer = $1 limit $2";
        let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let rows = self.db.query(sql, params![consumer, most]).await;
        let rows = rows.map_err(failed)?;
        let keys = rows.iter().map(|row| row.get::<String>(0));
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        // Of a key that is hashed nobody can tell which it is.
        let tells = keys.len() <= limit && !keys.iter().any(|key| is_hash(key));
        Ok(tells.then_some(keys))
    }

    async fn wait_behind(&self, parked: &Parked) -> Result<(), StoreError> {
        self.insert(parked, "do nothing").await
    }

    async fn park(&self, parked: &Parked) -> Result<(), StoreError> {
        let update = "do update set state = excluded.state, attempts = excluded.attempts, \
                      due_at = excluded.due_at, reason = excluded.reason, \
                      under_way_until = excluded.under_way_until";
        self.insert(parked, update).await
    }

    async fn park_again(&self, parked: &Parked) -> Result<bool, StoreError> {
        // A row of a version without the column has its note in the reason, which is another one from here on.
        let sql = "update parked set state = $3, attempts = $4, due_at = $5, reason = $6, under_way_until = $7, \
                   note = coalesce(note, $8) where consumer = $1 and message_id = $2";
        let params = params![
            parked.consumer.as_str(),
            parked.message.id,
            state_name(parked.state),
            i64::from(parked.attempts),
            parked.due_at,
            column_reason(&parked.reason),
            under_way_until(parked),
            column_note(parked.note),
        ];
        let updated = self.db.exec(sql, params).await;
        Ok(updated.map_err(failed)? == 1)
    }

    async fn due(
        &self,
        consumer: &str,
        now: Timestamp,
        after: AfterLastAttempt,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let sql = format!(
            "select {COLUMNS} from parked p where consumer = $1 and state = 'retry' \
             and due_at <= $2 and {} order by due_at limit $3",
            oldest_of_key(after)
        );
        self.parked(&sql, params![consumer, now, limit.min(LIST_MAX) as i64])
            .await
    }

    async fn due_beyond(
        &self,
        consumer: &str,
        end: Timestamp,
        after: AfterLastAttempt,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        // As `Parked::is_delayed` has it, and the index `parked_beyond`.
        let sql = format!(
            "select {COLUMNS} from parked p where consumer = $1 and state = 'retry' \
             and due_at > $2 and substr(key, 1, 8) <> 'delayed/' and {} order by due_at limit $3",
            oldest_of_key(after)
        );
        self.parked(&sql, params![consumer, end, limit.min(LIST_MAX) as i64])
            .await
    }

    async fn next_of(
        &self,
        consumer: &str,
        key: &str,
        now: Timestamp,
        after: AfterLastAttempt,
    ) -> Result<Option<Parked>, StoreError> {
        let (sql, key) = (head_of_key(after), column_key(key).into_owned());
        let mut head = self.parked(&sql, params![consumer, key]).await?;
        let is_due = |it: &Parked| it.state == ParkedState::Retry && it.due_at <= now;
        Ok(head.pop().filter(is_due))
    }

    async fn unknown(
        &self,
        consumer: &str,
        contracts: &[&str],
        after: AfterLastAttempt,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        if contracts.is_empty() {
            return Ok(Vec::new());
        }
        let mut params = params![consumer, limit.min(LIST_MAX) as i64];
        let list = listed(&mut params, contracts.iter().copied());
        // Rows of a version before the column have none. PostgreSQL's operator reads the whole message, and fails at a NUL
        // anywhere in it; nothing before the contract has such a text.
        let in_message = match self.db.engine() {
            Engine::Sqlite => "message ->> 'contract'",
            Engine::Postgres => r#"substring(message::text from '"contract":"([^"]*)"')"#,
        };
        let sql = format!(
            "select {COLUMNS} from parked p where consumer = $1 and state = 'unknown' \
             and coalesce(contract, {in_message}) in ({list}) and {} order by due_at, seq limit $2",
            oldest_of_key(after)
        );
        self.parked(&sql, params).await
    }

    async fn counts(&self, consumer: &str) -> Result<Vec<(ParkedState, u64)>, StoreError> {
        let sql = "select state, count(*) from parked where consumer = $1 group by state";
        let rows = self.db.query(sql, params![consumer]).await;
        let rows = rows.map_err(failed)?;
        let count = |row: &Row| Ok((state_of(row.get(0)?)?, row.get(1)?));
        rows.iter()
            .map(count)
            .collect::<Result<_, SqlError>>()
            .map_err(failed)
    }

    async fn resolve(&self, consumer: &str, message: Uuid) -> Result<(), StoreError> {
        let sql = "delete from parked where consumer = $1 and message_id = $2";
        let resolved = self.db.exec(sql, params![consumer, message]).await;
        resolved.map(drop).map_err(failed)
    }

    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<Parked>, StoreError> {
        let (sql, params) = listing(filter, LIST_MAX);
        self.parked(&sql, params).await
    }

    async fn find(&self, message: Uuid) -> Result<Vec<Parked>, StoreError> {
        let sql = format!(
            "select {COLUMNS} from parked where message_id = $1 order by parked_at, consumer limit $2"
        );
        self.parked(&sql, params![message, LIST_MAX as i64]).await
    }

    async fn dead_before(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let sql = format!(
            "select {COLUMNS} from parked where state = 'dead' and due_at < $1 \
             order by due_at, consumer, seq limit $2"
        );
        self.parked(&sql, params![before, limit.min(LIST_MAX) as i64])
            .await
    }

    async fn redrive(
        &self,
        consumer: &str,
        message: Uuid,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "update parked set state = 'retry', attempts = 0, due_at = $3 \
                   where consumer = $1 and message_id = $2 and state = 'dead'";
        let redriven = self.db.exec(sql, params![consumer, message, now]).await;
        Ok(redriven.map_err(failed)? == 1)
    }

    async fn discard(&self, consumer: &str, message: Uuid) -> Result<bool, StoreError> {
        let sql = "delete from parked where consumer = $1 and message_id = $2 and state <> 'retry'";
        let discarded = self.db.exec(sql, params![consumer, message]).await;
        Ok(discarded.map_err(failed)? == 1)
    }

    async fn withdraw(&self, consumer: &str, message: Uuid) -> Result<bool, StoreError> {
        // One that begins with it meanwhile finds no row to count the attempt in, and leaves it.
        let sql = "delete from parked where consumer = $1 and message_id = $2 and state = 'retry' \
                   and (under_way_until is null or under_way_until <> due_at) and reason <> $3";
        let params = params![consumer, message, Parked::UNDER_WAY];
        let withdrawn = self.db.exec(sql, params).await;
        Ok(withdrawn.map_err(failed)? == 1)
    }
}

fn failed(error: SqlError) -> StoreError {
    StoreError(error.to_string())
}
