//! What was read and is not confirmed yet: partitions at the same time, each in order, in stretches that end in a checkpoint.

use std::collections::VecDeque;

use crate::{Envelope, PARTITIONS};

use super::RelayState;

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
    /// Its first message is with the broker.
    busy: bool,
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

    /// The next messages to hand to the broker: the first of each partition that has none there.
    pub(super) fn next(&mut self) -> Vec<Envelope> {
        let mut next = Vec::new();
        for queue in &mut self.partitions {
            if queue.busy {
                continue;
            }
            if let Some((_, envelope)) = queue.messages.front() {
                next.push(envelope.clone());
                queue.busy = true;
            }
        }
        next
    }

    /// The broker has a partition's first message.
    pub(super) fn confirmed(&mut self, partition: u16) {
        let queue = &mut self.partitions[usize::from(partition % PARTITIONS)];
        queue.busy = false;
        let Some((number, _)) = queue.messages.pop_front() else {
            return;
        };
        self.waiting -= 1;
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
        fronts.map(|(_, envelope)| envelope.message.at).min()
    }
}
