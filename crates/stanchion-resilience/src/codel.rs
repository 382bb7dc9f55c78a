//! A queue that stays short: controlled delay, newest first under overload, important first always.
//!
//! After Nichols and Jacobson's CoDel in Facebook's form (Maurer, *Fail at Scale*, ACM Queue 2015): a queue that has
//! been empty within the last `interval` lets each wait up to `interval`; one that has not stands, and then nobody
//! waits longer than `target` and the newest goes first, since whoever waited long has given up already. It stands until
//! nobody was shed for an `interval`: being empty for a moment says nothing, since waits as short as these empty it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::deadline::{Deadline, FLOOR};
use crate::{Moment, Priority};

stanchion_config::settings! {
    /// How long a request may wait for its turn.
    pub struct CodelSettings {
        /// The longest wait as long as the queue empties now and then; also the time that shows whether it does.
        #[range("1ms"..="10s")]
        pub interval: Duration = "100ms",
        /// The longest wait in a standing queue.
        #[range("1ms"..="10s")]
        pub target: Duration = "5ms",
    }
}

/// The queue: a core without clock or tasks. Bounded by the `room` given with each push.
#[derive(Debug)]
pub struct Codel<T> {
    classes: [VecDeque<Entry<T>>; Priority::ALL.len()],
    /// When it was last seen empty.
    empty: Moment,
    /// When somebody was last shed from it while it stood.
    shed: Option<Moment>,
    settings: CodelSettings,
}

#[derive(Debug)]
struct Entry<T> {
    item: T,
    since: Moment,
    deadline: Deadline,
}

/// Who is next, and who is told to go.
#[derive(Debug)]
pub struct Popped<T> {
    /// Whose turn it is.
    pub next: Option<T>,
    /// Who waited too long, or whose deadline leaves no time for work.
    pub shed: Vec<T>,
}

impl<T> Codel<T> {
    /// An empty queue.
    #[must_use]
    pub fn new(settings: &CodelSettings, now: Moment) -> Self {
        Codel {
            classes: Default::default(),
            empty: now,
            shed: None,
            settings: settings.clone(),
        }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.classes.iter().map(VecDeque::len).sum()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.classes.iter().all(VecDeque::is_empty)
    }

    /// Whether somebody of this class or a more important one waits.
    #[must_use]
    pub fn is_waited_for(&self, priority: Priority) -> bool {
        self.classes[..=priority as usize]
            .iter()
            .any(|class| !class.is_empty())
    }

    /// The longest an entry that was pushed at `now` waits.
    #[must_use]
    pub fn wait_max(&self, now: Moment) -> Duration {
        if self.is_standing(now) {
            self.settings.target
        } else {
            self.settings.interval
        }
    }

    /// The longest anybody waits.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.settings.interval
    }

    fn is_standing(&self, now: Moment) -> bool {
        let sheds = |shed| now.since(shed) < self.settings.interval;
        now.since(self.empty) >= self.settings.interval || self.shed.is_some_and(sheds)
    }

    fn was_shed(&mut self, now: Moment) {
        if self.is_standing(now) {
            self.shed = Some(now);
        }
    }

    /// Lets `item` wait, if there is room for so many. In a full queue it takes the place of the newest of the least
    /// important class below its own, which is returned.
    ///
    /// # Errors
    /// `item` itself, when nobody less important waits.
    pub fn push(
        &mut self,
        now: Moment,
        priority: Priority,
        deadline: Deadline,
        item: T,
        room: usize,
    ) -> Result<Option<T>, T> {
        if self.is_empty() {
            self.empty = now;
        }
        let mut displaced = None;
        if self.len() >= room {
            let below = &mut self.classes[priority as usize + 1..];
            match below.iter_mut().rev().find_map(VecDeque::pop_back) {
                Some(entry) => displaced = Some(entry.item),
                None => return Err(item),
            }
        }
        self.classes[priority as usize].push_back(Entry {
            item,
            since: now,
            deadline,
        });
        Ok(displaced)
    }

    /// Whose turn it is at `now`, among the classes up to `least`.
    pub fn pop(&mut self, now: Moment, least: Priority) -> Popped<T> {
        if self.is_empty() {
            self.empty = now;
        }
        let (is_standing, wait_max) = (self.is_standing(now), self.wait_max(now));
        let mut shed = Vec::new();
        for class in &mut self.classes {
            // The oldest are in front, so the late ones are too.
            while class
                .front()
                .is_some_and(|entry| now.since(entry.since) > wait_max)
            {
                shed.extend(class.pop_front().map(|entry| entry.item));
            }
        }
        if !shed.is_empty() {
            self.was_shed(now);
        }
        for class in &mut self.classes[..=least as usize] {
            while let Some(entry) = if is_standing {
                class.pop_back()
            } else {
                class.pop_front()
            } {
                if entry.deadline.left(now) >= FLOOR {
                    return Popped {
                        next: Some(entry.item),
                        shed,
                    };
                }
                shed.push(entry.item);
            }
        }
        Popped { next: None, shed }
    }

    /// Takes out everything that `is_gone` says nobody waits for any more.
    pub fn forget(&mut self, now: Moment, is_gone: impl Fn(&T) -> bool) {
        let before = self.len();
        for class in &mut self.classes {
            class.retain(|entry| !is_gone(&entry.item));
        }
        if self.len() < before {
            self.was_shed(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn given() -> Codel<u32> {
        Codel::new(&CodelSettings::default(), Moment::START)
    }

    fn at(millis: u32) -> Moment {
        Moment::START + MS * millis
    }

    fn push(
        queue: &mut Codel<u32>,
        millis: u32,
        priority: Priority,
        item: u32,
    ) -> Result<Option<u32>, u32> {
        queue.push(at(millis), priority, Deadline::NONE, item, 4)
    }

    #[test]
    fn a_queue_that_empties_is_first_come_first_served() {
        let mut queue = given();
        for item in 1..=3 {
            push(&mut queue, 0, Priority::Normal, item).unwrap();
        }
        assert_eq!(queue.pop(at(90), Priority::Bulk).next, Some(1));
        assert_eq!(queue.pop(at(90), Priority::Bulk).next, Some(2));
    }

    #[test]
    fn a_standing_queue_serves_the_newest_and_sheds_who_waited() {
        let mut queue = given();
        push(&mut queue, 0, Priority::Normal, 1).unwrap();
        push(&mut queue, 97, Priority::Normal, 2).unwrap();
        push(&mut queue, 99, Priority::Normal, 3).unwrap();
        let popped = queue.pop(at(101), Priority::Bulk);
        assert_eq!((popped.next, popped.shed), (Some(3), vec![1]));
        let popped = queue.pop(at(103), Priority::Bulk);
        assert_eq!((popped.next, popped.shed), (None, vec![2]));
        // Empty for a moment, it stands all the same: short waits empty it.
        push(&mut queue, 110, Priority::Normal, 4).unwrap();
        let popped = queue.pop(at(150), Priority::Bulk);
        assert_eq!((popped.next, popped.shed), (None, vec![4]));
        push(&mut queue, 260, Priority::Normal, 5).unwrap();
        assert_eq!(
            queue.pop(at(300), Priority::Bulk).next,
            Some(5),
            "nobody was shed for the interval"
        );
    }

    #[test]
    fn the_important_goes_first_and_takes_the_place_of_the_unimportant() {
        let mut queue = given();
        push(&mut queue, 0, Priority::Bulk, 1).unwrap();
        push(&mut queue, 0, Priority::Background, 2).unwrap();
        push(&mut queue, 0, Priority::Bulk, 3).unwrap();
        push(&mut queue, 0, Priority::Normal, 4).unwrap();
        assert_eq!(push(&mut queue, 1, Priority::Critical, 5), Ok(Some(3)));
        assert_eq!(push(&mut queue, 1, Priority::Bulk, 6), Err(6));
        assert_eq!(queue.len(), 4);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(at(2), Priority::Bulk).next).collect();
        assert_eq!(order, [5, 4, 2, 1]);
    }

    #[test]
    fn who_has_no_time_left_is_not_begun() {
        let mut queue = given();
        let soon = Deadline::at(at(20));
        queue.push(at(0), Priority::Normal, soon, 1, 4).unwrap();
        push(&mut queue, 0, Priority::Normal, 2).unwrap();
        let popped = queue.pop(at(16), Priority::Bulk);
        assert_eq!((popped.next, popped.shed), (Some(2), vec![1]));
    }

    #[test]
    fn a_class_without_a_share_left_goes_on_waiting() {
        let mut queue = given();
        push(&mut queue, 0, Priority::Background, 1).unwrap();
        assert_eq!(queue.pop(at(1), Priority::Normal).next, None);
        assert_eq!(queue.pop(at(1), Priority::Background).next, Some(1));
    }
}
