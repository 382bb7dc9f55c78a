//! A log as a file: one JSON line an event, whole or not at all.
//!
//! ```text
//! {"log":{"format":1,"id":"…","module":"orders"}}
//! {"event":{"position":1,"category":"order","id":"…","version":0,"event_id":"…","type":"placed",
//!           "at":"…","checksum":"…","data":{…},"meta":{…}}}                      in the log's order
//! {"timer":{"category":"fulfilment","id":"…","name":"step","due_at":"…"}}        set and not fired
//! {"dealt_with":{"key":"m/consumer/…","position":7,"at":"…"}}                    messages with their effect
//! {"end":{"events":2,"timers":1,"dealt_with":1,"sha256":"…"}}                    of all bytes before it
//! ```
//! `data` and `meta` are the bytes as stored. Not in the file: rows and checkpoints (projections are
//! replayed, consumers begin again and find every message dealt with), requests' answers, dead letters,
//! snapshots, and the keys of subjects: personal values are in it sealed, and shredding reaches them.

mod export;
mod import;

use std::borrow::Cow;
use std::fmt;
use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stanchion_eventsourcing::{LogId, Position};
use uuid::Uuid;

pub use self::export::export;
pub use self::import::import;
use crate::SqlError;

/// The format that is written and the only one that is read.
const FORMAT: u32 = 1;

/// What went into a file or came out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// The log's identity, the same in both stores.
    pub log: LogId,
    /// Events; the last one's position, too.
    pub events: i64,
    /// Timers that are set.
    pub timers: i64,
    /// Keys of messages dealt with.
    pub dealt_with: i64,
}

/// Why a log was not exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store failed; an import left nothing behind, but for [`SqlError::InDoubt`]: then it did all of it, or nothing.
    #[error(transparent)]
    Store(#[from] SqlError),
    /// The file cannot be written or read.
    #[error("the file: {0}")]
    File(#[from] io::Error),
    /// The store's log has a hole or a row that changed: see `log verify`.
    #[error("the log is damaged at position {position}: {reason}")]
    Damaged {
        /// Where.
        position: Position,
        /// What is wrong.
        reason: String,
    },
    /// The file is not whole, or not an export of this format.
    #[error("line {line} of the file: {reason}")]
    NotAnExport {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The store has entries already.
    #[error("the store is not empty: it has rows in `{0}`")]
    NotEmpty(&'static str),
}

/// One line; exactly one of its fields is there.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<Header>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    event: Option<Event<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timer: Option<Timer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dealt_with: Option<DealtWith>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<End>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    id: LogId,
    module: String,
}

#[derive(Serialize, Deserialize)]
struct Event<'a> {
    position: Position,
    category: Cow<'a, str>,
    id: Cow<'a, str>,
    version: i64,
    event_id: Uuid,
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    at: Timestamp,
    /// In hexadecimal: many readers of JSON round large numbers.
    checksum: Cow<'a, str>,
    // JSON as stored, byte for byte; as a text where it would not fit into one line.
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    data_text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    meta: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    meta_text: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
struct Timer {
    category: String,
    id: String,
    name: String,
    due_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct DealtWith {
    key: String,
    position: Option<Position>,
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct End {
    events: i64,
    timers: i64,
    dealt_with: i64,
    sha256: String,
}

/// JSON as it can stand in a line, or as a text where it cannot.
type Exact<'a> = (Option<&'a RawValue>, Option<Cow<'a, str>>);

fn exact(stored: &str) -> Result<Exact<'_>, serde_json::Error> {
    let json: &RawValue = serde_json::from_str(stored)?;
    // Between its tokens JSON may have line breaks, and a parser drops the spaces around it.
    if json.get() == stored && !stored.contains(['\n', '\r']) {
        Ok((Some(json), None))
    } else {
        Ok((None, Some(stored.into())))
    }
}

fn stored<'a>(json: Option<&'a RawValue>, text: Option<&'a str>) -> &'a str {
    // A bare `null` is read as nothing there.
    text.or(json.map(RawValue::get)).unwrap_or("null")
}

impl fmt::Display for Transferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "log {}: {} events, {} timers, {} messages dealt with",
            self.log, self.events, self.timers, self.dealt_with
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
