//! What stands in a consumer's rows.

use std::borrow::Cow;

use jiff::Timestamp;
use stanchion_messaging::{
    AfterLastAttempt, DeadLetterFilter, Parked, ParkedNote, ParkedState, StoreError, adapter,
};
use stanchion_runtime::id;
use uuid::Uuid;

use crate::{Params, Row, SqlError, Tx, params};

/// A key up to so long stands as it is in its column, whose index has a bound on a server.
const KEY_BYTES_MAX: usize = 512;

/// What the column has of a reason, at most.
const REASON_BYTES_MAX: usize = 4 << 10;

pub(super) fn insertion(parked: &Parked, conflict: &str) -> Result<(String, Params), StoreError> {
    let sql = format!(
        "insert into parked (consumer, message_id, key, seq, state, attempts, due_at, \
         reason, message, parked_at, contract, under_way_until, note) values ($1, $2, $3, \
         (select coalesce(max(seq), 0) + 1 from parked where consumer = $1 and key = $3), \
         $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict (consumer, message_id) {conflict}"
    );
    let message = serde_json::to_value(&parked.message);
    let message = message.map_err(|error| StoreError(error.to_string()))?;
    let params = params![
        parked.consumer.as_str(),
        parked.message.id,
        column_key(&parked.message.key).into_owned(),
        state_name(parked.state),
        i64::from(parked.attempts),
        parked.due_at,
        column_reason(&parked.reason),
        message,
        parked.parked_at,
        column_contract(&parked.message.contract),
        under_way_until(parked),
        column_note(parked.note),
    ];
    Ok((sql, params))
}

/// Puts a row aside and takes it back, so that nobody sees it.
pub(super) fn trial(tx: Tx, consumer: &str) -> Tx {
    let (message, now) = (id::new_v7(), stanchion_runtime::clock::now());
    let insert = "insert into parked (consumer, message_id, key, seq, state, attempts, due_at, reason, message, parked_at) \
                  values ($1, $2, '', 0, 'retry', 0, $3, '', $4, $3)";
    let nothing = serde_json::json!({});
    tx.queue(insert, params![consumer, message, now, nothing]);
    let delete = "delete from parked where consumer = $1 and message_id = $2";
    tx.queue(delete, params![consumer, message]);
    tx
}

/// What the column has in place of a key that it cannot hold begins so.
const HASH: &str = "stanchion.hash/";

/// What tells a message's key from others; the message has it whole. A server's texts have no NUL.
pub(super) fn column_key(key: &str) -> Cow<'_, str> {
    if key.len() <= KEY_BYTES_MAX && !key.contains('\0') {
        return Cow::Borrowed(key);
    }
    let hash = id::derived(&Uuid::NAMESPACE_OID, key.as_bytes());
    Cow::Owned(format!("{HASH}{hash}"))
}

/// Whether a column may have that in a key's place.
pub(super) fn is_hash(column: &str) -> bool {
    column.starts_with(HASH)
}

/// A server's texts have no NUL; nobody has a handler for such a contract.
fn column_contract(contract: &str) -> Option<&str> {
    Some(contract).filter(|contract| !contract.contains('\0'))
}

/// The due time beside which an attempt has begun: a version without the column gives the row another one with whatever it
/// tells of it.
pub(super) fn under_way_until(parked: &Parked) -> Option<Timestamp> {
    parked.under_way.then_some(parked.due_at)
}

/// What the column has of a note that is known: empty where there is none, null in rows of a version without it.
pub(super) fn column_note(note: Option<ParkedNote>) -> &'static str {
    match note {
        Some(ParkedNote::AnnouncedBefore) => "announced_before",
        Some(ParkedNote::Suspect) => "suspect",
        None => "",
    }
}

fn note_of(column: Option<&str>, reason: &str) -> Option<ParkedNote> {
    match column {
        None => ParkedNote::told_in(reason),
        Some("announced_before") => Some(ParkedNote::AnnouncedBefore),
        Some("suspect") => Some(ParkedNote::Suspect),
        // One of a later version says nothing to this one.
        Some(_) => None,
    }
}

/// Handlers put into it what they were given.
pub(super) fn column_reason(reason: &str) -> String {
    let end = reason.floor_char_boundary(REASON_BYTES_MAX);
    reason[..end].replace('\0', "\u{fffd}")
}

/// Consumers and projections share the table of checkpoints.
pub(super) fn checkpoint(consumer: &str) -> String {
    format!("consumer/{consumer}")
}

pub(super) fn state_name(state: ParkedState) -> &'static str {
    match state {
        ParkedState::Retry => "retry",
        ParkedState::Dead => "dead",
        ParkedState::Unknown => "unknown",
    }
}

pub(super) fn state_of(name: &str) -> Result<ParkedState, SqlError> {
    match name {
        "retry" => Ok(ParkedState::Retry),
        "dead" => Ok(ParkedState::Dead),
        "unknown" => Ok(ParkedState::Unknown),
        other => Err(SqlError::Decode(format!("`{other}` is no parked state"))),
    }
}

/// Which states make later messages of a key wait.
pub(super) fn blocking(column: &str, after: AfterLastAttempt) -> String {
    match after {
        AfterLastAttempt::KeyWaits => "1 = 1".to_owned(),
        AfterLastAttempt::KeyGoesOn => format!("{column} <> 'dead'"),
    }
}

pub(super) fn oldest_of_key(after: AfterLastAttempt) -> String {
    format!(
        "not exists (select 1 from parked earlier where earlier.consumer = p.consumer \
         and earlier.key = p.key and earlier.seq < p.seq and {})",
        blocking("earlier.state", after)
    )
}

/// The first message of a key; it may be one that nobody tries.
pub(super) fn head_of_key(after: AfterLastAttempt) -> String {
    format!(
        "select {COLUMNS} from parked where consumer = $1 and key = $2 and {} order by seq limit 1",
        blocking("state", after)
    )
}

/// What an operator asks for, so many at the most.
pub(super) fn listing(filter: &DeadLetterFilter, most: usize) -> (String, Params) {
    let mut wanted = String::from("1 = 1");
    let mut params = params![filter.limit.min(most) as i64];
    if let Some(consumer) = &filter.consumer {
        params.push(consumer.into());
        wanted.push_str(&format!(" and consumer = ${}", params.len()));
    }
    if let Some(state) = filter.state {
        params.push(state_name(state).into());
        wanted.push_str(&format!(" and state = ${}", params.len()));
    }
    let sql = format!(
        "select {COLUMNS} from parked where {wanted} order by parked_at, consumer, seq limit $1"
    );
    (sql, params)
}

/// Adds the values to the parameters; gives their placeholders. The last one is repeated up to a power of two, so that
/// few texts are prepared.
pub(super) fn listed<'a>(params: &mut Params, values: impl Iterator<Item = &'a str>) -> String {
    let before = params.len();
    params.extend(values.map(Into::into));
    if let Some(last) = params.last().cloned() {
        let padded = (params.len() - before).next_power_of_two();
        params.resize(before + padded, last);
    }
    let numbers = before + 1..=params.len();
    let list: Vec<String> = numbers.map(|number| format!("${number}")).collect();
    list.join(", ")
}

/// As [`parked`] reads them.
pub(super) const COLUMNS: &str =
    "consumer, message, state, attempts, due_at, reason, parked_at, under_way_until, note";

pub(super) fn parked(row: &Row) -> Result<Parked, SqlError> {
    let message = adapter::json(row.get::<String>(1)?.as_bytes());
    let state = state_of(row.get(2)?)?;
    let (due_at, reason): (Timestamp, String) = (row.get(4)?, row.get(5)?);
    let until: Option<Timestamp> = row.get(7)?;
    let note: Option<&str> = row.get(8)?;
    // So a version says it that is without the column.
    let has_begun = until == Some(due_at) || reason == Parked::UNDER_WAY;
    Ok(Parked {
        consumer: row.get(0)?,
        message: message.map_err(|error| SqlError::Decode(error.to_string()))?,
        state,
        attempts: row.get(3)?,
        under_way: state == ParkedState::Retry && has_begun,
        note: note_of(note, &reason),
        due_at,
        reason,
        parked_at: row.get(6)?,
    })
}
