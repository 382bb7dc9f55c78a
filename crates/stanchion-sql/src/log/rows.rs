//! Events as rows, and back.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use stanchion_eventsourcing::{Content, LogError, Metadata, Position, Recorded, StreamId, Version};
use uuid::Uuid;

use super::names::Names;
use crate::{Row, SqlError, postgres};

/// What [`Reader`] reads of the event `e`, in its order; where it is to name streams, `s.name` follows.
pub(super) const COLUMNS: &str = "e.position, e.category, e.version, e.event_id, e.type, e.data, \
                                  e.meta, e.at, e.checksum, e.stream";

/// A row's columns where the driver has them: what an entry keeps is copied once.
struct Columns<'a> {
    category: &'a str,
    version: i64,
    id: Uuid,
    kind: &'a str,
    data: &'a str,
    meta: &'a str,
    at: Timestamp,
    kept: i64,
    stream: Uuid,
    name: Option<&'a str>,
}

/// Makes entries of rows, one after the other.
pub(super) struct Reader {
    naming: Naming,
    entries: Vec<Recorded>,
    damaged: Option<LogError>,
    /// What the last one's metadata was as text: entries of one append share it.
    meta: String,
}

/// How an entry's stream is known.
pub(super) enum Naming {
    /// It is the one that was asked for.
    Of(StreamId),
    /// The row has its name.
    Joined,
    /// It may be remembered; those that are not are named afterwards.
    Remembered {
        /// The entries without a name, and their streams.
        missing: Vec<(usize, Uuid)>,
    },
}

impl Naming {
    pub(super) fn remembered() -> Self {
        Self::Remembered {
            missing: Vec::new(),
        }
    }
}

impl Reader {
    pub(super) fn new(naming: Naming) -> Self {
        Self {
            naming,
            entries: Vec::new(),
            damaged: None,
            meta: String::new(),
        }
    }

    /// The entries, unless one of them was damaged.
    pub(super) fn entries(self) -> Result<Vec<Recorded>, LogError> {
        self.damaged.map_or(Ok(self.entries), Err)
    }

    /// The streams whose names are not known yet, each once.
    pub(super) fn unnamed(&self) -> Vec<Uuid> {
        let Naming::Remembered { missing } = &self.naming else {
            return Vec::new();
        };
        let mut keys: Vec<Uuid> = missing.iter().map(|(_, key)| *key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Names what had no name; whether all have one. An event whose stream is not there is damaged.
    pub(super) fn name(&mut self, names: &mut Names) -> bool {
        let Naming::Remembered { missing } = &mut self.naming else {
            return true;
        };
        for (index, key) in missing.drain(..) {
            let Some(entry) = self.entries.get_mut(index) else {
                continue;
            };
            let Some(stream) = names.get(key) else {
                self.damaged = Some(LogError::Damaged {
                    position: entry.position,
                    reason: "its stream has no name".to_owned(),
                });
                return false;
            };
            entry.stream = stream;
        }
        true
    }

    /// One of PostgreSQL's rows.
    pub(super) fn postgres(&mut self, row: &tokio_postgres::Row, names: &mut Names) {
        let text = |index| row.try_get(index).map(|postgres::Text(text)| text);
        let columns = || -> Result<Columns<'_>, tokio_postgres::Error> {
            Ok(Columns {
                category: text(1)?,
                version: row.try_get(2)?,
                id: row.try_get(3)?,
                kind: text(4)?,
                data: text(5)?,
                meta: text(6)?,
                at: row.try_get(7).map(|postgres::Time(at)| at)?,
                kept: row.try_get(8)?,
                stream: row.try_get(9)?,
                name: None,
            })
        };
        let position = row.try_get(0).unwrap_or(0);
        let columns = columns().map_err(|error| error.to_string());
        self.take(position, columns, Some(names));
    }

    /// One of SQLite's rows.
    pub(super) fn sqlite(&mut self, row: &rusqlite::Row<'_>) {
        let text = |index| -> rusqlite::Result<&str> { Ok(row.get_ref(index)?.as_str()?) };
        let id = |index| row.get(index).map(Uuid::from_bytes);
        let joined = matches!(self.naming, Naming::Joined);
        let read = || -> rusqlite::Result<(Columns<'_>, i64)> {
            let columns = Columns {
                category: text(1)?,
                version: row.get(2)?,
                id: id(3)?,
                kind: text(4)?,
                data: text(5)?,
                meta: text(6)?,
                at: Timestamp::UNIX_EPOCH,
                kept: row.get(8)?,
                stream: id(9)?,
                name: if joined { Some(text(10)?) } else { None },
            };
            Ok((columns, row.get(7)?))
        };
        let columns = || -> Result<Columns<'_>, String> {
            let (mut columns, at) = read().map_err(|error| error.to_string())?;
            columns.at = crate::value::from_microseconds(at).map_err(|error| error.to_string())?;
            Ok(columns)
        };
        let position = row.get(0).unwrap_or(0);
        self.take(position, columns(), None);
    }

    /// A row of any of the two, as a transaction gives it.
    pub(super) fn row(&mut self, row: &Row) {
        let joined = matches!(self.naming, Naming::Joined);
        let columns = || -> Result<Columns<'_>, SqlError> {
            Ok(Columns {
                category: row.get(1)?,
                version: row.get(2)?,
                id: row.get(3)?,
                kind: row.get(4)?,
                data: row.get(5)?,
                meta: row.get(6)?,
                at: row.get(7)?,
                kept: row.get(8)?,
                stream: row.get(9)?,
                name: if joined { Some(row.get(10)?) } else { None },
            })
        };
        let position = row.get(0).unwrap_or(0);
        let columns = columns().map_err(|error| error.to_string());
        self.take(position, columns, None);
    }

    fn take(
        &mut self,
        position: i64,
        columns: Result<Columns<'_>, String>,
        names: Option<&mut Names>,
    ) {
        if self.damaged.is_some() {
            return;
        }
        let entry = columns.and_then(|columns| self.entry(position, &columns, names));
        match entry {
            Ok(entry) => self.entries.push(entry),
            Err(reason) => {
                let position = Position(position);
                self.damaged = Some(LogError::Damaged { position, reason });
            }
        }
    }

    /// The event in a row; a row whose checksum does not hold is never folded in silence.
    fn entry(
        &mut self,
        position: i64,
        of: &Columns<'_>,
        names: Option<&mut Names>,
    ) -> Result<Recorded, String> {
        let sum = sum(of.stream, of.id, of.kind, of.data, of.meta);
        if checksum(sum, of.version) != of.kept {
            return Err("the checksum does not hold".to_owned());
        }
        Ok(Recorded {
            position: Position(position),
            version: Version(of.version),
            id: of.id,
            kind: of.kind.to_owned(),
            data: Content::from_stored(of.data),
            metadata: self.metadata(of.meta)?,
            at: of.at,
            stream: self.stream(of, names),
        })
    }

    fn stream(&mut self, of: &Columns<'_>, names: Option<&mut Names>) -> StreamId {
        let index = self.entries.len();
        match &mut self.naming {
            Naming::Of(stream) => stream.clone(),
            Naming::Joined => StreamId::new(of.category, of.name.unwrap_or_default()),
            Naming::Remembered { missing } => {
                let known = names.and_then(|names| names.get(of.stream));
                known.unwrap_or_else(|| {
                    missing.push((index, of.stream));
                    StreamId::new(of.category, "")
                })
            }
        }
    }

    fn metadata(&mut self, text: &str) -> Result<Metadata, String> {
        if let Some(last) = self.entries.last()
            && self.meta == text
        {
            return Ok(last.metadata.clone());
        }
        let read = serde_json::from_str(text).map_err(|error| error.to_string())?;
        self.meta.clear();
        self.meta.push_str(text);
        Ok(read)
    }
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
