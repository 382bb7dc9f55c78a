//! What a member has in hand, and up to where each partition is dealt with.

use std::collections::{BTreeMap, VecDeque};

use stanchion_messaging::Receipt;

/// Deliveries that are not dealt with, by partition, in order.
#[derive(Debug, Default)]
pub(crate) struct Hands {
    partitions: BTreeMap<i32, VecDeque<InHand>>,
}

#[derive(Debug)]
struct InHand {
    receipt: Receipt,
    /// The offset after its last record.
    through: i64,
    records: usize,
    done: bool,
}

impl Hands {
    /// A delivery has a record.
    pub(crate) fn take(&mut self, receipt: Receipt, partition: i32, offset: i64) {
        let queue = self.partitions.entry(partition).or_default();
        match queue.back_mut().filter(|last| last.receipt == receipt) {
            Some(last) => {
                last.through = offset + 1;
                last.records += 1;
            }
            None => queue.push_back(InHand {
                receipt,
                through: offset + 1,
                records: 1,
                done: false,
            }),
        }
    }

    /// A delivery is dealt with: the offsets to commit, each with its partition. A later delivery that is dealt with
    /// first waits for the earlier ones, because Kafka knows one offset a partition.
    pub(crate) fn done(&mut self, receipt: Receipt) -> Vec<(i32, i64)> {
        let mut commits = Vec::new();
        for (partition, queue) in &mut self.partitions {
            let of_it = |in_hand: &&mut InHand| in_hand.receipt == receipt;
            if let Some(in_hand) = queue.iter_mut().find(of_it) {
                in_hand.done = true;
            }
            let mut through = None;
            while let Some(first) = queue.pop_front_if(|first| first.done) {
                through = Some(first.through);
            }
            commits.extend(through.map(|through| (*partition, through)));
        }
        commits
    }

    /// Whether any of that delivery is still this member's.
    pub(crate) fn has(&self, receipt: Receipt) -> bool {
        let mut all = self.partitions.values().flatten();
        all.any(|in_hand| in_hand.receipt == receipt)
    }

    /// A partition went to somebody else, with what was in hand of it.
    pub(crate) fn forget(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }

    pub(crate) fn forget_all(&mut self) {
        self.partitions.clear();
    }

    pub(crate) fn records(&self) -> usize {
        let all = self.partitions.values().flatten();
        all.map(|in_hand| in_hand.records).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_delivery_waits_for_the_earlier_ones_of_its_partition() {
        let mut hands = Hands::default();
        hands.take(Receipt(1), 0, 10);
        hands.take(Receipt(1), 0, 11);
        hands.take(Receipt(1), 3, 5);
        hands.take(Receipt(2), 0, 12);
        assert_eq!(hands.records(), 4);
        assert_eq!(hands.done(Receipt(2)), []);
        assert_eq!(hands.done(Receipt(1)), [(0, 13), (3, 6)]);
        assert_eq!(hands.records(), 0);
    }

    #[test]
    fn what_went_to_somebody_else_is_not_committed() {
        let mut hands = Hands::default();
        hands.take(Receipt(1), 0, 10);
        hands.take(Receipt(1), 1, 20);
        hands.forget(0);
        assert_eq!(hands.done(Receipt(1)), [(1, 21)]);
        assert!(!hands.has(Receipt(1)));
    }
}
