//! What becomes of each append in a batch: pure, the same for both databases.
//!
//! The checked way asks under the log's lock and decides with the [`Facts`]. The fast way decides with what this
//! process remembers, and the unique indexes refuse the whole batch where that was too old.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use stanchion_eventsourcing::{AppendError, Appended, Expected, Position, Version};
use stanchion_messaging::InboxEntry;
use uuid::Uuid;

use super::ready::Ready;

pub(crate) type Answer = Result<Appended, AppendError>;

/// What becomes of one append.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// Its events are written after this version; `None`: as the first of the stream.
    Write { after: Option<i64> },
    /// Nothing is written.
    Answered(Answer),
}

impl Verdict {
    /// Whether its answer says that something is there already, which must then be as safe as what is written now.
    pub(super) fn rests_on_earlier_rows(&self) -> bool {
        matches!(
            self,
            Self::Answered(Ok(_) | Err(AppendError::AlreadyHandled { .. }))
        )
    }
}

/// What was found out about a batch, under the log's lock.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The log's last position.
    pub(crate) head: i64,
    versions: HashMap<Uuid, i64>,
    events: HashMap<Uuid, (Uuid, i64, i64)>,
    inbox: HashMap<String, InboxRow>,
}

/// A row of the inbox.
#[derive(Debug)]
pub(crate) struct InboxRow {
    pub(crate) owner: Option<Uuid>,
    pub(crate) position: Option<i64>,
    pub(crate) answer: Option<Vec<u8>>,
}

impl Facts {
    /// A stream is at this version.
    pub(crate) fn saw_version(&mut self, stream: Uuid, version: i64) {
        self.versions.insert(stream, version);
    }

    /// An event of this id is there.
    pub(crate) fn saw_event(&mut self, id: Uuid, stream: Uuid, version: i64, position: i64) {
        self.events.insert(id, (stream, version, position));
    }

    /// An inbox row of this key is there.
    pub(crate) fn saw_key(&mut self, key: String, row: InboxRow) {
        self.inbox.insert(key, row);
    }

    /// What becomes of each; no stream and no inbox key stands in the batch twice.
    pub(crate) fn verdicts<'a>(&self, batch: impl IntoIterator<Item = &'a Ready>) -> Vec<Verdict> {
        let verdict = |ready| {
            self.verdict(ready)
                .unwrap_or_else(|answer| Verdict::Answered(Err(answer)))
        };
        batch.into_iter().map(verdict).collect()
    }

    fn verdict(&self, ready: &Ready) -> Result<Verdict, AppendError> {
        if let Some(appended) = self.answered_before(ready)? {
            return Ok(Verdict::Answered(Ok(appended)));
        }
        if let Some(entry) = &ready.append.inbox {
            self.check_inbox(entry)?;
        }
        let after = self.versions.get(&ready.key).copied();
        let holds = match ready.append.expected {
            Expected::NoStream => after.is_none(),
            Expected::Exact(version) => after == Some(version.0),
            _ => true,
        };
        if holds {
            return Ok(Verdict::Write { after });
        }
        let actual = after.map(Version);
        Err(AppendError::Conflict { actual })
    }

    /// The same event ids again: the answer of the first time. An append is there as a whole or not at all: it is the
    /// same one if its last event is as far behind its first.
    fn answered_before(&self, ready: &Ready) -> Result<Option<Appended>, AppendError> {
        let [first, last] = [ready.append.events.first(), ready.append.events.last()]
            .map(|event| event.and_then(|event| self.events.get(&event.id)));
        let Some(&(stream, version, position)) = first else {
            return Ok(None);
        };
        if stream != ready.key {
            let reason = "an event of that id is in another stream";
            return Err(AppendError::Invalid(reason.into()));
        }
        let further = ready.len() as i64 - 1;
        let (version, position) = (version + further, position + further);
        if last != Some(&(stream, version, position)) {
            return Err(in_part());
        }
        Ok(Some(Appended {
            position: Position(position),
            version: Some(Version(version)),
        }))
    }

    fn check_inbox(&self, entry: &InboxEntry) -> Result<(), AppendError> {
        match (self.inbox.get(entry.key.as_str()), entry.owner) {
            (None, None) => Ok(()),
            (Some(row), Some(owner)) if row.owner == Some(owner) => Ok(()),
            (Some(row), _) if row.owner.is_none() => Err(AppendError::AlreadyHandled {
                answer: row.answer.clone(),
                position: row.position.map(Position),
            }),
            _ => Err(AppendError::ClaimLost),
        }
    }
}

/// Something of it was written before, and not with the rest: neither writing it nor leaving it would be right.
pub(super) fn in_part() -> AppendError {
    let reason = "some of its events are in the log already, and others are not";
    AppendError::Invalid(reason.into())
}

/// What is remembered of a stream says of an append to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guess {
    /// It fits: written after this version, and the unique index notices where that was too old.
    Fits { after: Option<i64> },
    /// The stream is further already: a conflict, or the same event ids again.
    Beaten,
    /// Nothing is known: ask under the lock.
    Unknown,
}

/// Judges an append by the highest version that is known of its stream, which is a lower bound.
pub(crate) fn guess(expected: Expected, events: usize, known: Option<i64>) -> Guess {
    match (expected, known) {
        (Expected::NoStream, Some(_)) => Guess::Beaten,
        (Expected::Exact(version), Some(known)) if version.0 < known => Guess::Beaten,
        // Without an event there is no row whose uniqueness would notice that this is too old.
        _ if events == 0 => Guess::Unknown,
        (Expected::NoStream, None) => Guess::Fits { after: None },
        (Expected::Exact(version), Some(known)) if version.0 == known => {
            Guess::Fits { after: Some(known) }
        }
        (Expected::Any, Some(known)) => Guess::Fits { after: Some(known) },
        _ => Guess::Unknown,
    }
}

/// Everybody's answer once the batch is committed, and the log's head: `base` is the position before its first event.
pub(crate) fn answers<'a>(
    batch: impl IntoIterator<Item = &'a Ready>,
    verdicts: Vec<Verdict>,
    base: i64,
) -> (Vec<Answer>, Position) {
    let mut head = base;
    let answer = |(ready, verdict): (&Ready, Verdict)| match verdict {
        Verdict::Answered(answer) => answer,
        Verdict::Write { after } => {
            let events = ready.len() as i64;
            head += events;
            let last = after.unwrap_or(-1) + events;
            Ok(Appended {
                position: Position(head),
                version: (last >= 0).then_some(Version(last)),
            })
        }
    };
    let answers = batch.into_iter().zip(verdicts).map(answer).collect();
    (answers, Position(head))
}
