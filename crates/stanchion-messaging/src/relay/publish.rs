//! What was read and is not confirmed yet: partitions at the same time, each in order, in stretches that end in a checkpoint.

use std::collections::VecDeque;

use crate::{BUNDLE_MESSAGES_MAX, Envelope, PARTITIONS};

use super::RelayState;

/// Messages of a partition that are handed over at once, at most.
const WINDOW_MAX: usize = BUNDLE_MESSAGES_MAX;

/// Stretches that are not confirmed yet, at most: pages without messages make some as well.
const STRETCHES_MAX: usize = 64;

/// Messages on their way, and the states that hold once they have arrived.
#[derive(Default)]
pub(super) struct Outgoing {
    partitions: [Queue; PARTITIONS as usize],
    stretches: VecDeque<Stretch>,
    /// The number of the first stretch in the queue.
    first: u64,
    waiting: usize,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<(u64, Envelope)>,
    /// So many of the first ones are with the broker.
    busy: usize,
}

struct Stretch {
    left: usize,
    state: RelayState,
}

impl Outgoing {
    /// Whether so many more may be read.
    pub(super) fn has_room(&self, max: usize) -> bool {
        self.waiting < max && self.stretches.len() < STRETCHES_MAX
    }

    /// Messages that were read and are not confirmed.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether every stretch was taken away as confirmed.
    pub(super) fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    /// Puts a stretch behind the others: its messages, and the state that holds after them.
    pub(super) fn push(&mut self, messages: Vec<Envelope>, state: RelayState) {
        let number = self.first + self.stretches.len() as u64;
        let left = messages.len();
        self.waiting += left;
        self.stretches.push_back(Stretch { left, state });
        for envelope in messages {
            let partition = usize::from(envelope.partition % PARTITIONS);
            let queue = &mut self.partitions[partition];
            queue.messages.push_back((number, envelope));
        }
    }

    /// The next messages to hand to the broker: the first ones of each partition that has none there.
    pub(super) fn next(&mut self) -> Vec<Vec<Envelope>> {
        let idle = self.partitions.iter_mut().filter(|queue| queue.busy == 0);
        let next = idle.map(|queue| {
            let window = queue.messages.iter().take(WINDOW_MAX);
            let window: Vec<Envelope> = window.map(|(_, envelope)| envelope.clone()).collect();
            queue.busy = window.len();
            window
        });
        next.filter(|window| !window.is_empty()).collect()
    }

    /// The broker has what was handed to it of a partition.
    pub(super) fn confirmed(&mut self, partition: u16) {
        let queue = &mut self.partitions[usize::from(partition % PARTITIONS)];
        for (number, _) in queue.messages.drain(..queue.busy) {
            self.waiting -= 1;
            let index = (number - self.first) as usize;
            self.stretches[index].left -= 1;
        }
        queue.busy = 0;
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
        fronts.map(|(_, envelope)| envelope.message.at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LogId, Message, Metadata, Origin, Position};
    use uuid::Uuid;

    fn envelope(partition: u16, position: i64) -> Envelope {
        let id = Uuid::from_u128(position as u128);
        let message = Message {
            id,
            contract: "x.y.v1".into(),
            key: "a".into(),
            payload: serde_json::Value::Null,
            origin: Origin {
                log: LogId(Uuid::nil()),
                position: Position(position),
            },
            metadata: Metadata::new(None),
            at: stanchion_runtime::clock::now(),
        };
        Envelope {
            message,
            partition,
            prev: Position::START,
            transport: id,
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
        outgoing.confirmed(1);
        assert_eq!(windows(&mut outgoing), [[3, 4]]);
        outgoing.confirmed(1);
        assert!(outgoing.settled().is_none(), "2 is on its way");
        outgoing.confirmed(2);
        assert_eq!(outgoing.settled(), Some(state(4)));
        assert!(outgoing.is_empty() && outgoing.waiting() == 0);
    }

    #[test]
    fn a_window_has_a_bound() {
        let mut outgoing = Outgoing::default();
        let more = WINDOW_MAX as i64 + 1;
        outgoing.push((1..=more).map(|it| envelope(0, it)).collect(), state(more));
        assert_eq!(windows(&mut outgoing)[0].len(), WINDOW_MAX);
        outgoing.confirmed(0);
        assert_eq!(windows(&mut outgoing), [[more]]);
    }
}
