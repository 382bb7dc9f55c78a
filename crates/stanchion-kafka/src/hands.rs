//! What a member has in hand, and up to where each partition is dealt with.

use std::collections::{BTreeMap, VecDeque};

use stanchion_messaging::Receipt;

/// Deliveries that are not dealt with, by partition, in order.
#[derive(Debug, Default)]
pub(crate) struct Hands {
    partitions: BTreeMap<i32, VecDeque<InHand>>,
    /// Up to where partitions are dealt with that Kafka has not heard of.
    untold: BTreeMap<i32, i64>,
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

    /// A delivery is dealt with, or what is still this member's of it. A later delivery that is dealt with first waits for
    /// the earlier ones, because Kafka knows one offset a partition.
    pub(crate) fn done(&mut self, receipt: Receipt) {
        for (partition, queue) in &mut self.partitions {
            let of_it = |in_hand: &&mut InHand| in_hand.receipt == receipt;
            if let Some(in_hand) = queue.iter_mut().find(of_it) {
                in_hand.done = true;
            }
            while let Some(first) = queue.pop_front_if(|first| first.done) {
                self.untold.insert(*partition, first.through);
            }
        }
    }

    /// The offsets to commit, each with its partition.
    pub(crate) fn untold(&self) -> Vec<(i32, i64)> {
        let untold = self.untold.iter();
        untold
            .map(|(partition, through)| (*partition, *through))
            .collect()
    }

    /// Kafka has them.
    pub(crate) fn told(&mut self, offsets: &[(i32, i64)]) {
        self.untold
            .retain(|partition, through| !offsets.contains(&(*partition, *through)));
    }

    /// A partition went to somebody else, with what was in hand of it.
    pub(crate) fn forget(&mut self, partition: i32) {
        self.partitions.remove(&partition);
        self.untold.remove(&partition);
    }

    pub(crate) fn forget_all(&mut self) {
        self.partitions.clear();
        self.untold.clear();
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
        hands.done(Receipt(2));
        assert_eq!(hands.untold(), []);
        hands.done(Receipt(1));
        assert_eq!(hands.untold(), [(0, 13), (3, 6)]);
        assert_eq!(hands.records(), 0);
    }

    #[test]
    fn what_went_to_somebody_else_is_not_committed() {
        let mut hands = Hands::default();
        hands.take(Receipt(1), 0, 10);
        hands.take(Receipt(1), 1, 20);
        hands.take(Receipt(2), 2, 30);
        hands.forget(0);
        hands.done(Receipt(1));
        hands.done(Receipt(2));
        hands.forget(2);
        assert_eq!(hands.untold(), [(1, 21)]);
    }

    #[test]
    fn what_was_not_told_is_told_later_with_what_was_dealt_with_since() {
        let mut hands = Hands::default();
        hands.take(Receipt(1), 0, 10);
        hands.take(Receipt(1), 1, 20);
        hands.take(Receipt(2), 0, 11);
        hands.done(Receipt(1));
        let tried = hands.untold();
        hands.done(Receipt(2));
        // The first try arrived late: the offset that came since is not told yet.
        hands.told(&tried);
        assert_eq!(hands.untold(), [(0, 12)]);
        hands.told(&hands.untold());
        assert_eq!(hands.untold(), []);
    }
}
