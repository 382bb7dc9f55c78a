//! What a batch of appends does to the tables: pure, the same for both databases.
//!
//! The caller holds the log's lock (PostgreSQL) or is the only writer (SQLite), asks [`Questions`],
//! plans with the answers, runs the statements and commits. A refused append fails alone.

use std::collections::HashMap;

use jiff::Timestamp;
use stanchion_eventsourcing::{
    Append, AppendError, Appended, Expected, Position, TimerChange, Version,
};
use stanchion_messaging::InboxEntry;
use uuid::Uuid;

use super::rows::checksum;
use crate::{Params, Row, SqlError, Value, params};

/// One statement with its parameters.
pub(crate) type Step = (String, Params);

/// What must be known before a batch can be planned, as statements that only read.
pub(crate) struct Questions {
    pub(crate) head: Step,
    pub(crate) versions: Step,
    pub(crate) repeated: Option<Step>,
    pub(crate) inbox: Option<Step>,
}

/// The answers.
#[derive(Default)]
pub(crate) struct Facts {
    head: i64,
    versions: HashMap<Uuid, i64>,
    repeated: HashMap<Uuid, (Uuid, i64, i64)>,
    inbox: HashMap<String, InboxRow>,
}

struct InboxRow {
    owner: Option<Uuid>,
    position: Option<Position>,
    answer: Option<Vec<u8>>,
}

/// What to run, and what to tell each caller once it is committed.
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) answers: Vec<Result<Appended, AppendError>>,
    pub(crate) head: Position,
}

impl Questions {
    pub(crate) fn about(batch: &[Append]) -> Self {
        let streams = batch.iter().map(|append| Value::Uuid(append.stream.key()));
        let ids = batch.iter().filter_map(|append| append.events.first());
        let keys = batch.iter().filter_map(|append| append.inbox.as_ref());
        let versions = "select stream, max(version) from event where stream in (#) group by stream";
        let repeated =
            "select event_id, stream, version, position from event where event_id in (#)";
        let inbox = "select key, owner, position, answer from inbox where key in (#)";
        Self {
            head: (
                "select coalesce(max(position), 0) from event".into(),
                params![],
            ),
            versions: one_of(versions, streams.collect()),
            repeated: some_of(repeated, ids.map(|event| Value::Uuid(event.id)).collect()),
            inbox: some_of(
                inbox,
                keys.map(|entry| Value::from(entry.key.as_str())).collect(),
            ),
        }
    }
}

/// An `in` list padded to a power of two with its last value, so that few texts are prepared.
fn one_of(sql: &str, mut values: Params) -> Step {
    let last = values.last().cloned().unwrap_or(Value::Null);
    values.resize(values.len().next_power_of_two(), last);
    let list: Vec<String> = (1..=values.len())
        .map(|number| format!("${number}"))
        .collect();
    (sql.replace('#', &list.join(", ")), values)
}

fn some_of(sql: &str, values: Params) -> Option<Step> {
    (!values.is_empty()).then(|| one_of(sql, values))
}

impl Facts {
    pub(crate) fn take_head(&mut self, rows: &[Row]) -> Result<(), SqlError> {
        self.head = rows.first().map_or(Ok(0), |row| row.get(0))?;
        Ok(())
    }

    pub(crate) fn take_versions(&mut self, rows: &[Row]) -> Result<(), SqlError> {
        for row in rows {
            self.versions.insert(row.get(0)?, row.get(1)?);
        }
        Ok(())
    }

    pub(crate) fn take_repeated(&mut self, rows: &[Row]) -> Result<(), SqlError> {
        for row in rows {
            self.repeated
                .insert(row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?));
        }
        Ok(())
    }

    pub(crate) fn take_inbox(&mut self, rows: &[Row]) -> Result<(), SqlError> {
        for row in rows {
            let known = InboxRow {
                owner: row.get(1)?,
                position: row.get(2)?,
                answer: row.get(3)?,
            };
            self.inbox.insert(row.get(0)?, known);
        }
        Ok(())
    }

    fn check(&self, append: &Append) -> Result<Option<Appended>, AppendError> {
        append.validate()?;
        if let Some(appended) = self.answered_before(append)? {
            return Ok(Some(appended));
        }
        if let Some(entry) = &append.inbox {
            self.check_inbox(entry)?;
        }
        let actual = self
            .versions
            .get(&append.stream.key())
            .copied()
            .map(Version);
        let holds = match append.expected {
            Expected::NoStream => actual.is_none(),
            Expected::Exact(version) => actual == Some(version),
            _ => true,
        };
        if holds {
            Ok(None)
        } else {
            Err(AppendError::Conflict { actual })
        }
    }

    /// The same event ids again: the answer of the first time.
    fn answered_before(&self, append: &Append) -> Result<Option<Appended>, AppendError> {
        let first = append
            .events
            .first()
            .and_then(|event| self.repeated.get(&event.id));
        let Some((stream, version, position)) = first else {
            return Ok(None);
        };
        if *stream != append.stream.key() {
            let reason = "an event of that id is in another stream";
            return Err(AppendError::Invalid(reason.into()));
        }
        let further = append.events.len() as i64 - 1;
        Ok(Some(Appended {
            position: Position(position + further),
            version: Some(Version(version + further)),
        }))
    }

    fn check_inbox(&self, entry: &InboxEntry) -> Result<(), AppendError> {
        match (self.inbox.get(entry.key.as_str()), entry.owner) {
            (None, None) => Ok(()),
            (Some(row), Some(owner)) if row.owner == Some(owner) => Ok(()),
            (Some(row), _) if row.owner.is_none() => Err(AppendError::AlreadyHandled {
                answer: row.answer.clone(),
                position: row.position,
            }),
            _ => Err(AppendError::ClaimLost),
        }
    }
}

impl Plan {
    /// Plans a batch in which no stream and no inbox key stands twice.
    pub(crate) fn of(batch: &[Append], facts: &Facts, at: Timestamp) -> Self {
        let mut plan = Self {
            steps: Vec::new(),
            answers: Vec::with_capacity(batch.len()),
            head: Position(facts.head),
        };
        for append in batch {
            let answer = match facts.check(append) {
                Ok(None) => Ok(plan.write(append, facts, at)),
                Ok(Some(appended)) => Ok(appended),
                Err(error) => Err(error),
            };
            plan.answers.push(answer);
        }
        plan
    }

    fn write(&mut self, append: &Append, facts: &Facts, at: Timestamp) -> Appended {
        let key = append.stream.key();
        let before = facts.versions.get(&key).copied();
        if before.is_none() && !append.events.is_empty() {
            self.name_stream(append, key);
        }
        let mut version = before;
        for event in &append.events {
            let next = version.map_or(0, |version| version + 1);
            self.head = self.head.next();
            self.insert_event(append, event, key, next, at);
            version = Some(next);
        }
        self.change_timers(append, key);
        let appended = Appended {
            position: self.head,
            version: version.map(Version),
        };
        if let Some(entry) = &append.inbox {
            self.settle(entry, appended.position, at);
        }
        appended
    }

    fn name_stream(&mut self, append: &Append, key: Uuid) {
        let sql = "insert into stream (stream, category, name) values ($1, $2, $3) \
                   on conflict (stream) do nothing";
        let params = params![key, append.stream.category(), append.stream.id()];
        self.steps.push((sql.into(), params));
    }

    fn insert_event(
        &mut self,
        append: &Append,
        event: &stanchion_eventsourcing::NewEvent,
        key: Uuid,
        version: i64,
        at: Timestamp,
    ) {
        let sql = "insert into event (position, stream, version, event_id, category, type, data, \
                   meta, at, checksum) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let data = event.data.to_string();
        let meta = serde_json::to_string(&append.metadata).unwrap_or_default();
        let sum = checksum(key, version, event.id, &event.kind, &data, &meta);
        let params = params![
            self.head,
            key,
            version,
            event.id,
            append.stream.category(),
            event.kind.as_str(),
            data,
            meta,
            at,
            sum,
        ];
        self.steps.push((sql.into(), params));
    }

    fn change_timers(&mut self, append: &Append, key: Uuid) {
        for change in &append.timers {
            let step = match change {
                TimerChange::Set { name, due_at } => (
                    "insert into timer (stream, name, category, due_at) values ($1, $2, $3, $4) \
                     on conflict (stream, name) do update set due_at = excluded.due_at",
                    params![key, name.as_str(), append.stream.category(), *due_at],
                ),
                TimerChange::Clear { name } => (
                    "delete from timer where stream = $1 and name = $2",
                    params![key, name.as_str()],
                ),
            };
            self.steps.push((step.0.into(), step.1));
        }
    }

    fn settle(&mut self, entry: &InboxEntry, position: Position, at: Timestamp) {
        let key = entry.key.as_str();
        let answer = entry.answer.clone();
        let step = match entry.owner {
            None => (
                "insert into inbox (key, position, answer, at) values ($1, $2, $3, $4)",
                params![key, position, answer, at],
            ),
            Some(owner) => (
                "update inbox set owner = null, expires_at = null, position = $3, answer = $4, \
                 at = $5 where key = $1 and owner = $2",
                params![key, owner, position, answer, at],
            ),
        };
        self.steps.push((step.0.into(), step.1));
    }
}
