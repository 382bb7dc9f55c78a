//! Entries put aside, as rows among the module's dead letters.

use jiff::Timestamp;
use stanchion_eventsourcing::{LogId, Position, Recorded};
use stanchion_messaging::{Message, Origin};
use stanchion_runtime::clock;
use uuid::Uuid;

use crate::{Db, Params, Query, Row, SqlError, Tx, params};

/// The most entries that one projection puts aside; with more it halts: something else is wrong.
pub(super) const PARKED_MAX: usize = 10_000;

/// Parked entries tried in one round.
const ROUND_MAX: i64 = 100;

/// An entry put aside, or the one that a projection halted at.
pub(super) struct ParkedEntry {
    pub(super) event: Uuid,
    pub(super) stream: String,
    pub(super) position: Position,
    /// Somebody wants it tried again.
    pub(super) due: bool,
    pub(super) reason: String,
    /// When it was put aside.
    pub(super) since: Timestamp,
}

const COLUMNS: &str = "message_id, key, state, reason, message, parked_at";

/// Everything put aside, in the order of the log.
pub(super) async fn list(db: &Db, consumer: &str) -> Result<Vec<ParkedEntry>, SqlError> {
    let sql = format!("select {COLUMNS} from parked where consumer = $1 order by seq limit $2");
    let rows = db.query(&sql, params![consumer, PARKED_MAX as i64 + 1]);
    rows.await?.iter().map(parked).collect()
}

/// What is due: of each stream only the first one put aside.
pub(super) async fn due(db: &Db, consumer: &str) -> Result<Vec<ParkedEntry>, SqlError> {
    let sql = format!(
        "select {COLUMNS} from parked p where consumer = $1 and state = 'retry' \
         and not exists (select 1 from parked earlier where earlier.consumer = p.consumer \
         and earlier.key = p.key and earlier.seq < p.seq) order by seq limit $2"
    );
    let rows = db.query(&sql, params![consumer, ROUND_MAX]).await?;
    rows.iter().map(parked).collect()
}

/// The one entry, if it is put aside.
pub(super) async fn find(
    db: &Db,
    consumer: &str,
    event: Uuid,
) -> Result<Option<ParkedEntry>, SqlError> {
    let sql = format!("select {COLUMNS} from parked where consumer = $1 and message_id = $2");
    let row = db.opt(&sql, params![consumer, event]).await?;
    row.as_ref().map(parked).transpose()
}

/// Puts an entry aside, last of all; one that is there gets the reason and another attempt.
pub(super) fn insert(
    consumer: &str,
    log: LogId,
    entry: &Recorded,
    reason: &str,
) -> (String, Params) {
    let sql = "insert into parked (consumer, message_id, key, seq, state, attempts, due_at, reason, \
               message, parked_at) values ($1, $2, $3, \
               (select coalesce(max(seq), 0) + 1 from parked where consumer = $1), \
               'dead', 1, $4, $5, $6, $4) on conflict (consumer, message_id) do update set \
               state = 'dead', attempts = parked.attempts + 1, reason = excluded.reason";
    let message = Message {
        id: entry.id,
        contract: entry.kind.clone(),
        key: entry.stream.to_string(),
        // What is no JSON is shown as it stands.
        payload: entry
            .data
            .value()
            .unwrap_or_else(|_| entry.data.as_str().into()),
        origin: Origin {
            log,
            position: entry.position,
        },
        metadata: entry.metadata.clone(),
        at: entry.at,
    };
    let key = entry.stream.to_string();
    let json = serde_json::to_value(&message).unwrap_or_default();
    let params = params![consumer, entry.id, key, clock::now(), reason, json];
    (sql.to_owned(), params)
}

/// Takes an entry out: it was applied.
pub(super) fn queue_delete(tx: &Tx, consumer: &str, event: Uuid) {
    let sql = "delete from parked where consumer = $1 and message_id = $2";
    tx.queue(sql, params![consumer, event]);
}

/// One that was due cannot be read: it waits for somebody again, and says why.
pub(super) async fn give_up(
    db: &impl Query,
    consumer: &str,
    event: Uuid,
    reason: &str,
) -> Result<(), SqlError> {
    let sql = "update parked set state = 'dead', attempts = attempts + 1, reason = $3 \
               where consumer = $1 and message_id = $2";
    let done = db.exec(sql, params![consumer, event, reason]).await;
    done.map(drop)
}

/// Makes what is put aside due again; how many.
pub(super) async fn redrive(db: &impl Query, consumer: &str) -> Result<u64, SqlError> {
    let sql =
        "update parked set state = 'retry', due_at = $2 where consumer = $1 and state = 'dead'";
    db.exec(sql, params![consumer, clock::now()]).await
}

fn parked(row: &Row) -> Result<ParkedEntry, SqlError> {
    let message: Message = row.json(4)?;
    Ok(ParkedEntry {
        event: row.get(0)?,
        stream: row.get(1)?,
        position: message.origin.position,
        due: row.get::<&str>(2)? == "retry",
        reason: row.get(3)?,
        since: row.get(5)?,
    })
}
