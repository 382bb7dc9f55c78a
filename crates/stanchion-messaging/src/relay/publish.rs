//! What was read and is not confirmed yet: partitions at the same time, each in order, in stretches that end in a checkpoint.

use std::collections::VecDeque;

use super::RelayState;
use super::state::Skipped;
use crate::contract::is_beacon;
use crate::size::bytes_of;
use crate::{BUNDLE_MESSAGES_MAX, Envelope, PARTITIONS};

/// Messages of a partition that are handed over at once, at most.
const WINDOW_MAX: usize = BUNDLE_MESSAGES_MAX;

/// Stretches that are not confirmed yet, at most.
const STRETCHES_MAX: usize = 64;

/// Messages on their way, and the states that hold once they have arrived.
#[derive(Default)]
pub(super) struct Outgoing {
    partitions: [Queue; PARTITIONS as usize],
    stretches: VecDeque<Stretch>,
    /// The number of the first stretch in the queue.
    first: u64,
    waiting: usize,
    bytes: usize,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Waiting>,
    /// So many of the first ones are with the broker.
    busy: usize,
}

struct Waiting {
    stretch: u64,
    bytes: usize,
    envelope: Envelope,
}

struct Stretch {
    left: usize,
    state: RelayState,
}

impl Outgoing {
    /// Whether more may be read, where so many messages and bytes are allowed.
    pub(super) fn has_room(&self, max: usize, bytes_max: usize) -> bool {
        self.waiting < max && self.bytes < bytes_max && self.stretches.len() < STRETCHES_MAX
    }

    /// Memory that they take, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages that were read and are not confirmed.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether every stretch was taken away as confirmed.
    pub(super) fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    /// Stretches with a smaller number are confirmed.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Puts a stretch behind the others: its messages, and the state that holds after them. Gives its number. Without
    /// messages the last stretch has the newer state: while a broker is away wishes and pages of nothing take no room.
    pub(super) fn push(&mut self, messages: Vec<Envelope>, state: RelayState) -> u64 {
        if messages.is_empty()
            && let Some(last) = self.stretches.back_mut()
        {
            last.state = state;
            return self.first + self.stretches.len() as u64 - 1;
        }
        let number = self.first + self.stretches.len() as u64;
        let left = messages.len();
        self.waiting += left;
        self.stretches.push_back(Stretch { left, state });
        for envelope in messages {
            let partition = usize::from(envelope.partition % PARTITIONS);
            let queue = &mut self.partitions[partition];
            let bytes = bytes_of(&envelope.message);
            self.bytes += bytes;
            queue.messages.push_back(Waiting {
                stretch: number,
                bytes,
                envelope,
            });
        }
        number
    }

    /// The next messages to hand to the broker: the first ones of each partition that has none there.
    pub(super) fn next(&mut self) -> Vec<Vec<Envelope>> {
        let idle = self.partitions.iter_mut().filter(|queue| queue.busy == 0);
        let next = idle.map(|queue| {
            let window = queue.messages.iter().take(WINDOW_MAX);
            let window: Vec<Envelope> = window.map(|it| it.envelope.clone()).collect();
            queue.busy = window.len();
            window
        });
        next.filter(|window| !window.is_empty()).collect()
    }

    /// The broker has so many of those that were handed to it of a partition, and no more of them on their way.
    pub(super) fn confirmed(&mut self, partition: u16, count: usize) {
        let queue = &mut self.partitions[usize::from(partition % PARTITIONS)];
        queue.busy = 0;
        let count = count.min(queue.messages.len());
        let arrived: Vec<Waiting> = queue.messages.drain(..count).collect();
        for one in arrived {
            self.arrived(one.stretch, one.bytes);
        }
    }

    /// A partition's first message was put aside: what comes after it in its line follows the one before it. Gives what
    /// was left out, which other states than those here have as well.
    pub(super) fn put_aside(&mut self, partition: u16) -> Option<Skipped> {
        let queue = &mut self.partitions[usize::from(partition % PARTITIONS)];
        let skipped = queue.messages.front();
        let skipped = skipped.and_then(|it| Skipped::of(&it.envelope));
        self.confirmed(partition, 1);
        let skipped = skipped?;
        let queue = &mut self.partitions[usize::from(partition % PARTITIONS)];
        let mut told = Vec::new();
        queue.messages.retain_mut(|it| {
            if !skipped.precedes(&it.envelope) {
                return true;
            }
            it.envelope.prev = skipped.prev;
            // The next beacons tell what was announced last.
            let keep = !is_beacon(&it.envelope.message.contract);
            if !keep {
                told.push((it.stretch, it.bytes));
            }
            keep
        });
        for (number, bytes) in told {
            self.arrived(number, bytes);
        }
        for stretch in &mut self.stretches {
            stretch.state.skip(&skipped);
        }
        Some(skipped)
    }

    /// One message less of that stretch.
    fn arrived(&mut self, number: u64, bytes: usize) {
        self.waiting -= 1;
        self.bytes -= bytes;
        let index = (number - self.first) as usize;
        self.stretches[index].left -= 1;
    }

    /// The newest state that holds: that of the last stretch before which all is confirmed.
    pub(super) fn settled(&mut self) -> Option<RelayState> {
        let mut state = None;
        while let Some(stretch) = self.stretches.pop_front_if(|stretch| stretch.left == 0) {
            self.first += 1;
            state = Some(stretch.state);
        }
        state
    }

    /// When the oldest entry was recorded that is not confirmed.
    pub(super) fn oldest(&self) -> Option<jiff::Timestamp> {
        let fronts = self.partitions.iter().filter_map(|it| it.messages.front());
        fronts.map(|it| it.envelope.message.at).min()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{LogId, Message, Metadata, Origin, Position};

    fn message(position: i64) -> Message {
        Message {
            id: Uuid::from_u128(position as u128),
            contract: "x.y.v1".into(),
            key: "a".into(),
            payload: serde_json::Value::Null,
            origin: Origin {
                log: LogId(Uuid::nil()),
                position: Position(position),
            },
            metadata: Metadata::new(None),
            at: stanchion_runtime::clock::now(),
        }
    }

    #[test]
    fn what_follows_one_that_was_put_aside_follows_the_one_before_it() {
        let (mut state, mut outgoing) = (RelayState::default(), Outgoing::default());
        for position in [1, 4, 6] {
            let envelope = state.announce(message(position)).unwrap();
            outgoing.push(vec![envelope], state.clone());
        }
        let partition = crate::partition_of("a");
        assert_eq!(outgoing.next()[0].len(), 3);
        outgoing.confirmed(partition, 1);
        let skipped = outgoing.put_aside(partition).unwrap();
        let next = outgoing.next().remove(0).remove(0);
        assert_eq!(
            (next.prev, next.message.origin.position.0),
            (Position(1), 6)
        );
        let settled = outgoing.settled().unwrap();
        let last = |state: &RelayState| state.last["x.y"][usize::from(partition)];
        assert_eq!(last(&settled), Position(1), "nobody is told of it");
        state.skip(&skipped);
        assert_eq!(last(&state), Position(6), "more was announced since");
    }

    #[test]
    fn a_beacon_that_tells_of_one_that_was_put_aside_is_told_to_nobody() {
        let (mut state, mut outgoing) = (RelayState::default(), Outgoing::default());
        let envelope = state.announce(message(1)).unwrap();
        let partition = envelope.partition;
        outgoing.push(vec![envelope], state.clone());
        outgoing.push(state.beacons(LogId(Uuid::nil())), state.clone());
        outgoing.next();
        let skipped = outgoing.put_aside(partition).unwrap();
        state.skip(&skipped);
        assert!(outgoing.next().is_empty() && outgoing.waiting() == 0 && outgoing.bytes() == 0);
        assert!(outgoing.settled().is_some() && outgoing.is_empty());
        assert!(state.beacons(LogId(Uuid::nil())).is_empty());
    }

    fn envelope(partition: u16, position: i64) -> Envelope {
        Envelope {
            message: message(position),
            partition,
            prev: Position::START,
            transport: Uuid::from_u128(position as u128),
        }
    }

    fn state(position: i64) -> RelayState {
        let mut state = RelayState::default();
        state.through.position = Position(position);
        state
    }

    fn windows(outgoing: &mut Outgoing) -> Vec<Vec<i64>> {
        let position = |it: &Envelope| it.message.origin.position.0;
        let windows = outgoing.next().into_iter();
        windows
            .map(|it| it.iter().map(position).collect())
            .collect()
    }

    #[test]
    fn a_partition_goes_in_windows_of_what_waits_one_after_the_other() {
        let mut outgoing = Outgoing::default();
        outgoing.push(vec![envelope(1, 1), envelope(2, 2)], state(2));
        assert_eq!(windows(&mut outgoing), [[1], [2]]);
        outgoing.push(vec![envelope(1, 3), envelope(1, 4)], state(4));
        assert!(windows(&mut outgoing).is_empty(), "both are busy");
        outgoing.confirmed(1, 1);
        assert_eq!(windows(&mut outgoing), [[3, 4]]);
        outgoing.confirmed(1, 2);
        assert!(outgoing.settled().is_none(), "2 is on its way");
        outgoing.confirmed(2, 1);
        assert_eq!(outgoing.settled(), Some(state(4)));
        assert!(outgoing.is_empty() && outgoing.waiting() == 0 && outgoing.bytes() == 0);
    }

    #[test]
    fn what_brings_no_message_takes_no_room_while_the_broker_is_away() {
        let mut outgoing = Outgoing::default();
        outgoing.push(vec![envelope(1, 1)], state(1));
        let numbers = (2..=1_000).map(|it| outgoing.push(Vec::new(), state(it)));
        assert!(numbers.max().is_some_and(|it| it == 0) && outgoing.has_room(10, 1 << 20));
        assert!(outgoing.settled().is_none());
        outgoing.next();
        outgoing.confirmed(1, 1);
        assert_eq!(outgoing.settled(), Some(state(1_000)));
        assert_eq!(outgoing.push(Vec::new(), state(1_001)), 1);
        assert_eq!(outgoing.settled(), Some(state(1_001)));
    }

    #[test]
    fn a_window_has_a_bound() {
        let mut outgoing = Outgoing::default();
        let more = WINDOW_MAX as i64 + 1;
        outgoing.push((1..=more).map(|it| envelope(0, it)).collect(), state(more));
        assert_eq!(windows(&mut outgoing)[0].len(), WINDOW_MAX);
        outgoing.confirmed(0, WINDOW_MAX);
        assert_eq!(windows(&mut outgoing), [[more]]);
    }
}
