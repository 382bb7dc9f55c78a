//! What a decided batch adds to the tables: pure, the same for both databases.

use std::collections::HashMap;

use jiff::Timestamp;
use stanchion_eventsourcing::{NewEvent, TimerChange};
use stanchion_messaging::InboxEntry;
use uuid::Uuid;

use super::plan::Verdict;
use super::ready::Ready;

/// The rows of one batch.
#[derive(Default)]
pub(super) struct Writes<'a> {
    /// In the order of their positions.
    pub(super) events: Vec<Event<'a>>,
    /// Streams that get their first event.
    pub(super) names: Vec<&'a Ready>,
    /// Inbox rows that are new.
    pub(super) keys: Vec<Settled<'a>>,
    /// Claims that are completed, each with its owner.
    pub(super) claims: Vec<(Settled<'a>, Uuid)>,
    pub(super) timers: Timers<'a>,
}

/// One row of `event`.
pub(super) struct Event<'a> {
    pub(super) ready: &'a Ready,
    pub(super) event: &'a NewEvent,
    pub(super) sum: i64,
    pub(super) version: i64,
}

/// An inbox key that is dealt with.
pub(super) struct Settled<'a> {
    pub(super) entry: &'a InboxEntry,
    /// How many events of the batch come after its own.
    pub(super) back: i64,
}

/// The timers as they are after the batch: what is set, and what is cleared.
#[derive(Default)]
pub(super) struct Timers<'a> {
    pub(super) set: Vec<(&'a Ready, &'a str, Timestamp)>,
    pub(super) cleared: Vec<(&'a Ready, &'a str)>,
}

impl<'a> Writes<'a> {
    /// The rows of those that are written.
    pub(super) fn of(batch: impl IntoIterator<Item = &'a Ready>, verdicts: &[Verdict]) -> Self {
        let mut writes = Self::default();
        let mut changes = Vec::new();
        let mut settled = Vec::new();
        for (ready, verdict) in batch.into_iter().zip(verdicts) {
            let Verdict::Write { after } = verdict else {
                continue;
            };
            writes.write(ready, *after);
            changes.extend(ready.append.timers.iter().map(|change| (ready, change)));
            if let Some(entry) = &ready.append.inbox {
                settled.push((entry, writes.events.len()));
            }
        }
        let count = writes.events.len();
        for (entry, events) in settled {
            let back = (count - events) as i64;
            let settled = Settled { entry, back };
            match entry.owner {
                None => writes.keys.push(settled),
                Some(owner) => writes.claims.push((settled, owner)),
            }
        }
        writes.timers = Timers::after(&changes);
        writes
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.keys.is_empty() && self.claims.is_empty()
    }

    fn write(&mut self, ready: &'a Ready, after: Option<i64>) {
        if after.is_none() && ready.len() > 0 {
            self.names.push(ready);
        }
        let first = after.map_or(0, |after| after + 1);
        let events = ready.append.events.iter().zip(&ready.sums).zip(first..);
        self.events
            .extend(events.map(|((event, &sum), version)| Event {
                ready,
                event,
                sum,
                version,
            }));
    }
}

impl<'a> Timers<'a> {
    /// Of several changes of one timer the last counts: one statement cannot change a row twice.
    fn after(changes: &[(&'a Ready, &'a TimerChange)]) -> Self {
        let mut timers = Self::default();
        if changes.is_empty() {
            return timers;
        }
        let mut last = HashMap::new();
        for (index, (ready, change)) in changes.iter().enumerate() {
            last.insert((ready.key, name_of(change)), index);
        }
        for (index, &(ready, change)) in changes.iter().enumerate() {
            if last.get(&(ready.key, name_of(change))) != Some(&index) {
                continue;
            }
            match change {
                TimerChange::Set { name, due_at } => timers.set.push((ready, name, *due_at)),
                TimerChange::Clear { name } => timers.cleared.push((ready, name)),
            }
        }
        timers
    }
}

fn name_of(change: &TimerChange) -> &str {
    match change {
        TimerChange::Set { name, .. } | TimerChange::Clear { name } => name,
    }
}

#[cfg(test)]
mod tests {
    use stanchion_eventsourcing::{Append, Expected, Metadata, StreamId};
    use stanchion_messaging::InboxKey;
    use stanchion_runtime::{clock, id};

    use super::*;

    fn ready(stream: &str, events: usize, timers: Vec<TimerChange>) -> Ready {
        let event = |_| NewEvent {
            id: id::new_v7(),
            kind: "placed".into(),
            data: stanchion_eventsourcing::Content::null(),
        };
        Ready::of(Append {
            stream: StreamId::new("order", stream),
            expected: Expected::Any,
            events: (0..events).map(event).collect(),
            inbox: Some(InboxEntry::new(InboxKey::message("c", id::new_v7(), None))),
            timers,
            metadata: Metadata::new(None),
        })
        .unwrap()
    }

    #[test]
    fn rows_stand_in_the_order_of_their_positions_and_keys_know_their_place() {
        let batch = [
            ready("a", 2, vec![]),
            ready("b", 1, vec![]),
            ready("c", 0, vec![]),
        ];
        let write = |after| Verdict::Write { after };
        let verdicts = [write(Some(4)), write(None), write(None)];
        let writes = Writes::of(&batch, &verdicts);
        let versions: Vec<i64> = writes.events.iter().map(|event| event.version).collect();
        assert_eq!(versions, [5, 6, 0]);
        let backs: Vec<i64> = writes.keys.iter().map(|key| key.back).collect();
        assert_eq!(backs, [1, 0, 0]);
        // A stream is named with its first event, not by an append without one.
        assert_eq!(writes.names.len(), 1);
        assert_eq!(writes.names[0].key, batch[1].key);
    }

    #[test]
    fn of_several_changes_of_a_timer_the_last_counts() {
        let due_at = clock::now();
        let set = |name: &str| TimerChange::Set {
            name: name.into(),
            due_at,
        };
        let clear = |name: &str| TimerChange::Clear { name: name.into() };
        let changes = vec![set("a"), clear("a"), clear("b"), set("b"), set("b")];
        let batch = [ready("s", 1, changes)];
        let writes = Writes::of(&batch, &[Verdict::Write { after: None }]);
        let set: Vec<&str> = writes.timers.set.iter().map(|(_, name, _)| *name).collect();
        let cleared: Vec<&str> = writes
            .timers
            .cleared
            .iter()
            .map(|(_, name)| *name)
            .collect();
        assert_eq!((set, cleared), (vec!["b"], vec!["a"]));
    }
}
