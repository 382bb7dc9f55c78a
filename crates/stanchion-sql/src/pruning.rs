//! Forgetting the messages that were dealt with long ago, and can only be repeats should they ever come again.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use stanchion_messaging::{InboxKey, LogId, MessageOrigin, Position};
use uuid::Uuid;

use crate::{Db, Params, Row, SqlError, params};

/// How far each consumer came, by its own name.
#[derive(Default)]
struct LowWater {
    /// In whole logs.
    places: HashMap<(String, LogId), Position>,
    /// In lines of announcements: partition and family.
    lines: HashMap<(String, LogId, u16, String), Position>,
}

/// A message's key that is old enough.
struct Old {
    key: String,
    consumer: String,
    message: Uuid,
    origin: MessageOrigin,
}

/// Looks through all keys that say which message they are of and are older than `before`, `limit` at a time, and deletes those that their
/// consumers are past and have not parked. Each batch is a transaction of its own.
pub(crate) async fn prune(db: &Db, before: Timestamp, limit: usize) -> Result<usize, SqlError> {
    let low = LowWater::read(db).await?;
    let mut pruned = 0;
    let mut from: Option<(Timestamp, String)> = None;
    loop {
        let rows = page(db, before, from.take(), limit).await?;
        let Some(last) = rows.last() else {
            return Ok(pruned);
        };
        from = Some((last.get(2)?, last.get(0)?));
        let old = rows.iter().filter_map(|row| Old::read(row).transpose());
        let mut old = old.collect::<Result<Vec<_>, _>>()?;
        old.retain(|one| low.is_past(one));
        leave_parked(db, &mut old).await?;
        pruned += delete(db, &old).await?;
        if rows.len() < limit {
            return Ok(pruned);
        }
    }
}

async fn page(
    db: &Db,
    before: Timestamp,
    from: Option<(Timestamp, String)>,
    limit: usize,
) -> Result<Vec<Row>, SqlError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut params = params![before, limit];
    let mut after = "";
    if let Some((at, key)) = from {
        params.extend(params![at, key]);
        after = "and (at, key) > ($3, $4)";
    }
    let sql = format!(
        "select key, answer, at from inbox where fingerprint is null and answer is not null and at < $1 \
         {after} order by at, key limit $2"
    );
    db.query(&sql, params).await
}

async fn leave_parked(db: &Db, old: &mut Vec<Old>) -> Result<(), SqlError> {
    if old.is_empty() {
        return Ok(());
    }
    let mut params = Params::new();
    let list = listed(&mut params, old.iter().map(|one| one.message.into()));
    let sql = format!("select consumer, message_id from parked where message_id in ({list})");
    let rows = db.query(&sql, params).await?;
    let parked = rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?)));
    let parked: HashSet<(String, Uuid)> = parked.collect::<Result<_, SqlError>>()?;
    old.retain(|one| !parked.contains(&(one.consumer.clone(), one.message)));
    Ok(())
}

async fn delete(db: &Db, old: &[Old]) -> Result<usize, SqlError> {
    if old.is_empty() {
        return Ok(0);
    }
    let mut params = Params::new();
    let list = listed(&mut params, old.iter().map(|one| one.key.as_str().into()));
    let sql = format!("delete from inbox where key in ({list})");
    let deleted = db.exec(&sql, params).await?;
    Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
}

fn listed(params: &mut Params, values: impl Iterator<Item = crate::Value>) -> String {
    params.extend(values);
    let numbers: Vec<String> = (1..=params.len())
        .map(|number| format!("${number}"))
        .collect();
    numbers.join(", ")
}

impl LowWater {
    async fn read(db: &Db) -> Result<Self, SqlError> {
        let mut low = Self::default();
        let sql = "select name, log, position from checkpoint where name like 'consumer/%'";
        for row in db.query(sql, params![]).await? {
            let name: String = row.get(0)?;
            let consumer = name.strip_prefix("consumer/").unwrap_or(&name);
            let place = (consumer.to_owned(), row.get(1)?);
            low.places.insert(place, row.get(2)?);
        }
        let sql = "select consumer, log, slot, family, position from consumer_mark";
        for row in db.query(sql, params![]).await? {
            let line = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            low.lines.insert(line, row.get(4)?);
        }
        Ok(low)
    }

    fn is_past(&self, old: &Old) -> bool {
        let (consumer, origin) = (old.consumer.clone(), &old.origin);
        let log = origin.log;
        // A delayed message is of no log: once its row is gone it never comes again.
        if origin.position == Position::START {
            return true;
        }
        let line = (
            consumer.clone(),
            log,
            origin.partition,
            origin.family.clone(),
        );
        let place = self.places.get(&(consumer, log));
        place
            .max(self.lines.get(&line))
            .is_some_and(|low| *low >= origin.position)
    }
}

impl Old {
    /// A row that says where its message was from; others are not a consumer's, and stay.
    fn read(row: &Row) -> Result<Option<Self>, SqlError> {
        let key: String = row.get(0)?;
        let answer: Option<&[u8]> = row.get(1)?;
        let origin = answer.and_then(MessageOrigin::decode);
        let (Some((consumer, message)), Some(origin)) = (InboxKey::parse_message(&key), origin)
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            consumer: consumer.to_owned(),
            message,
            origin,
            key,
        }))
    }
}
