//! The log's last entries as this process committed them, for its own readers: no SQL between ack and seen.

use std::collections::VecDeque;

use stanchion_eventsourcing::{Filter, Position, Recorded};

/// Entries kept, at most.
pub(super) const ENTRIES_MAX: usize = 4_096;

/// Bytes of content kept, at most.
pub(super) const BYTES_MAX: usize = 4 << 20;

/// A stretch of the log without a hole that ends at its newest entry known here.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    entries: VecDeque<(Recorded, usize)>,
    bytes: usize,
    /// The log's incarnation that it belongs to: what another one says is for the database to tell.
    incarnation: u64,
}

impl Tail {
    /// Takes a committed entry with its size. One that does not follow the last one begins a new stretch.
    pub(super) fn push(&mut self, entry: Recorded, bytes: usize) {
        if self.end().is_some_and(|end| end.next() != entry.position) {
            self.clear();
        }
        self.bytes += bytes;
        self.entries.push_back((entry, bytes));
        while self.entries.len() > ENTRIES_MAX || self.bytes > BYTES_MAX {
            let Some((_, bytes)) = self.entries.pop_front() else {
                return;
            };
            self.bytes -= bytes;
        }
    }

    /// Forgets what it knows of an earlier incarnation of the log than `now`.
    pub(super) fn belong_to(&mut self, now: u64) {
        if self.incarnation != now {
            self.clear();
            self.incarnation = now;
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// What a reader after `after` gets, if the stretch provably continues there and reaches `head`, the furthest
    /// position this process was ever told: a short page means that there was no more.
    pub(super) fn read(
        &self,
        after: Position,
        head: Position,
        filter: &Filter,
        limit: usize,
    ) -> Option<Vec<Recorded>> {
        let first = self.entries.front()?.0.position;
        let end = self.end()?;
        if after.next() < first || after >= end || end < head {
            return None;
        }
        let known = usize::try_from(after.next().0 - first.0).ok()?;
        let later = self.entries.range(known..).map(|(entry, _)| entry);
        let wanted = later.filter(|entry| filter.passes(entry));
        Some(wanted.take(limit).cloned().collect())
    }

    fn end(&self) -> Option<Position> {
        self.entries.back().map(|(entry, _)| entry.position)
    }
}

#[cfg(test)]
mod tests {
    use stanchion_eventsourcing::{Content, Metadata, StreamId, Version};
    use stanchion_runtime::{clock, id};

    use super::*;

    fn entry(position: i64) -> Recorded {
        Recorded {
            position: Position(position),
            stream: StreamId::new(["order", "payment"][position as usize % 2], "1"),
            version: Version(position),
            id: id::new_v7(),
            kind: "placed".into(),
            data: Content::null(),
            metadata: Metadata::new(None),
            at: clock::now(),
        }
    }

    fn tail(positions: impl IntoIterator<Item = i64>) -> Tail {
        let mut tail = Tail::default();
        for position in positions {
            tail.push(entry(position), 1);
        }
        tail
    }

    fn read(tail: &Tail, after: i64, head: i64, limit: usize) -> Option<Vec<i64>> {
        let found = tail.read(Position(after), Position(head), &Filter::all(), limit)?;
        Some(found.iter().map(|entry| entry.position.0).collect())
    }

    #[test]
    fn a_reader_is_served_where_the_stretch_provably_continues() {
        let tail = tail(5..=9);
        assert_eq!(read(&tail, 4, 9, 10), Some(vec![5, 6, 7, 8, 9]));
        assert_eq!(read(&tail, 6, 9, 2), Some(vec![7, 8]));
        assert_eq!(read(&tail, 3, 9, 10), None, "4 is missing");
        assert_eq!(
            read(&tail, 9, 9, 10),
            None,
            "somebody else may have appended"
        );
        assert_eq!(read(&tail, 6, 10, 10), None, "10 is known to exist");
    }

    #[test]
    fn a_hole_begins_a_new_stretch() {
        let tail = tail([1, 2, 3, 5, 6]);
        assert_eq!(read(&tail, 2, 6, 10), None);
        assert_eq!(read(&tail, 4, 6, 10), Some(vec![5, 6]));
    }

    #[test]
    fn nothing_of_an_earlier_incarnation_is_served() {
        let mut tail = tail(5..=9);
        tail.belong_to(0);
        assert_eq!(read(&tail, 6, 9, 1), Some(vec![7]));
        tail.belong_to(1);
        assert_eq!(read(&tail, 6, 9, 1), None);
    }

    #[test]
    fn the_filter_and_the_limit_hold() {
        let tail = tail(1..=6);
        let found = tail.read(Position(0), Position(6), &Filter::category("order"), 2);
        let found: Vec<i64> = found
            .unwrap()
            .iter()
            .map(|entry| entry.position.0)
            .collect();
        assert_eq!(found, [2, 4]);
    }

    #[test]
    fn it_is_bounded_by_entries_and_by_bytes() {
        let mut tail = tail(1..=ENTRIES_MAX as i64 + 5);
        assert_eq!(
            (tail.entries.len(), tail.entries[0].0.position.0),
            (ENTRIES_MAX, 6)
        );
        tail.push(entry(ENTRIES_MAX as i64 + 6), BYTES_MAX);
        assert_eq!((tail.entries.len(), tail.bytes), (1, BYTES_MAX));
    }
}
