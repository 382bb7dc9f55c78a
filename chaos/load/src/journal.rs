//! What is intended, noted before; what was answered, noted after. A line is one write: a kill leaves it whole or not.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Duration;
use uuid::Uuid;

/// The journal of one life.
pub(crate) struct Journal {
    file: Mutex<File>,
}

/// What somebody wants appended, complete enough to be repeated by the next life.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// Stands in each of its events.
    pub(crate) token: Uuid,
    pub(crate) how: How,
    /// `category/name`; none for a unit of work.
    pub(crate) stream: Option<String>,
    /// The version that must be the last; -1 for no event; none for any.
    pub(crate) expected: Option<i64>,
    pub(crate) count: usize,
    /// Ids of the events, where the writer chooses them.
    pub(crate) ids: Vec<Uuid>,
    pub(crate) key: Option<String>,
    /// Account and cents of each event of a unit of work.
    #[serde(default)]
    pub(crate) bookings: Vec<(String, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    Append,
    Repository,
    Work,
}

/// What a writer was told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Ack {
        position: i64,
        version: Option<i64>,
    },
    /// Nothing was written by this attempt.
    Refused {
        why: &'static str,
        position: Option<i64>,
    },
    Unknown {
        why: &'static str,
    },
}

impl Journal {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("the journal {}", path.display()))?;
        let file = Mutex::new(file);
        Ok(Self { file })
    }

    /// Before the first attempt.
    pub(crate) fn intends(&self, intent: &Intent) {
        let mut line = serde_json::to_value(intent).unwrap_or(Value::Null);
        line["what"] = "try".into();
        self.note(&line);
    }

    /// Before every further attempt.
    pub(crate) fn again(&self, token: Uuid) {
        self.note(&json!({"what": "again", "token": token}));
    }

    pub(crate) fn outcome(&self, token: Uuid, outcome: Outcome, took: Duration) {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.note(&match outcome {
            Outcome::Ack { position, version } => {
                json!({"what": "ack", "token": token, "ms": ms, "position": position, "version": version})
            }
            Outcome::Refused { why, position } => {
                json!({"what": "refused", "token": token, "ms": ms, "why": why, "position": position})
            }
            Outcome::Unknown { why } => {
                json!({"what": "unknown", "token": token, "ms": ms, "why": why})
            }
        });
    }

    fn note(&self, line: &Value) {
        let line = format!("{line}\n");
        // A journal with a line missing would acquit the guilty.
        self.file
            .lock()
            .write_all(line.as_bytes())
            .expect("the journal's disk takes a line");
    }
}
