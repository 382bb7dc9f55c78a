//! What becomes of each append in a batch: pure, the same for both databases.
//!
//! The checked way asks under the log's lock and decides with the [`Facts`]. The fast way decides with what this
//! process remembers, and the unique indexes refuse the whole batch where that was too old.

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

    /// The same event ids again: the answer of the first time.
    fn answered_before(&self, ready: &Ready) -> Result<Option<Appended>, AppendError> {
        let first = ready.append.events.first();
        let Some((stream, version, position)) = first.and_then(|event| self.events.get(&event.id))
        else {
            return Ok(None);
        };
        if *stream != ready.key {
            let reason = "an event of that id is in another stream";
            return Err(AppendError::Invalid(reason.into()));
        }
        let further = ready.len() as i64 - 1;
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
                position: row.position.map(Position),
            }),
            _ => Err(AppendError::ClaimLost),
        }
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stanchion_eventsourcing::{Append, Metadata, NewEvent, StreamId};
    use stanchion_messaging::InboxKey;
    use stanchion_runtime::id;

    use super::*;

    fn ready(stream: &str, expected: Expected, events: usize) -> Ready {
        let event = |n| NewEvent {
            id: id::new_v7(),
            kind: "placed".into(),
            data: json!({ "n": n }).into(),
        };
        Ready::of(Append {
            stream: StreamId::new("order", stream),
            expected,
            events: (0..events).map(event).collect(),
            inbox: (events == 0)
                .then(|| InboxEntry::new(InboxKey::message("c", id::new_v7(), None))),
            timers: Vec::new(),
            metadata: Metadata::new(None),
        })
        .unwrap()
    }

    #[test]
    fn what_is_remembered_decides_only_what_it_can() {
        let fits = |after| Guess::Fits { after };
        let exact = |version| Expected::Exact(Version(version));
        for (expected, events, known, guess_) in [
            (Expected::NoStream, 1, None, fits(None)),
            (Expected::NoStream, 1, Some(0), Guess::Beaten),
            (exact(3), 1, Some(3), fits(Some(3))),
            (exact(3), 1, Some(4), Guess::Beaten),
            (exact(3), 1, Some(2), Guess::Unknown),
            (exact(3), 1, None, Guess::Unknown),
            (Expected::Any, 1, Some(3), fits(Some(3))),
            (Expected::Any, 1, None, Guess::Unknown),
            // Nothing would be inserted that could collide.
            (exact(3), 0, Some(3), Guess::Unknown),
            (Expected::NoStream, 0, None, Guess::Unknown),
            (exact(3), 0, Some(4), Guess::Beaten),
        ] {
            assert_eq!(
                guess(expected, events, known),
                guess_,
                "{expected:?} {events} {known:?}"
            );
        }
    }

    #[test]
    fn a_refused_append_takes_no_position_from_its_neighbours() {
        let batch = [
            ready("a", Expected::NoStream, 2),
            ready("b", Expected::NoStream, 1),
            ready("c", Expected::Any, 3),
            ready("d", Expected::Any, 0),
        ];
        let mut facts = Facts {
            head: 10,
            ..Facts::default()
        };
        facts.saw_version(batch[1].key, 0);
        facts.saw_version(batch[2].key, 7);
        let (answers, head) = answers(&batch, facts.verdicts(&batch), facts.head);
        let at = |position, version: Option<i64>| Appended {
            position: Position(position),
            version: version.map(Version),
        };
        assert_eq!(*answers[0].as_ref().unwrap(), at(12, Some(1)));
        assert!(matches!(
            answers[1],
            Err(AppendError::Conflict {
                actual: Some(Version(0))
            })
        ));
        assert_eq!(*answers[2].as_ref().unwrap(), at(15, Some(10)));
        assert_eq!(*answers[3].as_ref().unwrap(), at(15, None));
        assert_eq!(head, Position(15));
    }

    #[test]
    fn the_same_ids_are_the_first_answer_whatever_is_expected() {
        let again = ready("a", Expected::NoStream, 2);
        let mut facts = Facts::default();
        facts.saw_version(again.key, 9);
        facts.saw_event(again.append.events[0].id, again.key, 4, 40);
        match facts.verdicts([&again]).remove(0) {
            Verdict::Answered(Ok(appended)) => assert_eq!(
                (appended.position, appended.version),
                (Position(41), Some(Version(5)))
            ),
            other => panic!("{other:?}"),
        }
        let foreign = ready("b", Expected::Any, 1);
        facts.saw_event(foreign.append.events[0].id, again.key, 4, 40);
        let verdict = facts.verdicts([&foreign]).remove(0);
        assert!(matches!(
            verdict,
            Verdict::Answered(Err(AppendError::Invalid(_)))
        ));
    }
}
