//! Events as rows, and back.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use stanchion_eventsourcing::{Content, LogError, Position, Recorded, StreamId, Version};
use uuid::Uuid;

use crate::{Row, SqlError};

/// What [`recorded`] reads, in its order; `e` is the event, `s` its stream.
pub(super) const COLUMNS: &str = "e.position, s.category, s.name, e.version, e.event_id, e.type, \
                                  e.data, e.meta, e.at, e.checksum, e.stream";

/// The event in a row; a row whose checksum does not hold is never folded in silence.
pub(super) fn recorded(mut row: Row) -> Result<Recorded, LogError> {
    let position: i64 = row.get(0).map_err(unreadable(0))?;
    let failed = unreadable(position);
    let kind = row.take(5).map_err(&failed)?;
    let (data, meta): (&str, &str) = (row.get(6).map_err(&failed)?, row.get(7).map_err(&failed)?);
    let (version, id): (i64, Uuid) = (row.get(3).map_err(&failed)?, row.get(4).map_err(&failed)?);
    let kept: i64 = row.get(9).map_err(&failed)?;
    let stream: Uuid = row.get(10).map_err(&failed)?;
    if checksum(sum(stream, id, &kind, data, meta), version) != kept {
        return Err(damaged(position, "the checksum does not hold"));
    }
    let metadata = serde_json::from_str(meta);
    Ok(Recorded {
        position: Position(position),
        version: Version(version),
        id,
        kind,
        data: Content::from_stored(data),
        metadata: metadata.map_err(|error| damaged(position, &error.to_string()))?,
        at: row.get::<Timestamp>(8).map_err(&failed)?,
        stream: StreamId::new(row.take(1).map_err(&failed)?, row.take(2).map_err(&failed)?),
    })
}

/// The first eight bytes of SHA-256 over everything that must not change but the version, which is known last;
/// `stanchion_sum` in the schema computes the same.
pub(crate) fn sum(stream: Uuid, id: Uuid, kind: &str, data: &str, meta: &str) -> i64 {
    let mut hash = Sha256::new();
    hash.update(stream.as_bytes());
    hash.update(id.as_bytes());
    for text in [kind, data, meta] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    let sum = hash.finalize();
    i64::from_be_bytes([
        sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6], sum[7],
    ])
}

/// The checksum that stands in a row.
pub(crate) fn checksum(sum: i64, version: i64) -> i64 {
    sum ^ version
}

fn unreadable(position: i64) -> impl Fn(SqlError) -> LogError {
    move |error| damaged(position, &error.to_string())
}

fn damaged(position: i64, reason: &str) -> LogError {
    LogError::Damaged {
        position: Position(position),
        reason: reason.to_owned(),
    }
}
