//! A queue that stays short: controlled delay, newest first under overload, important first always.
//!
//! After Nichols and Jacobson's CoDel in Facebook's form (Maurer, *Fail at Scale*, ACM Queue 2015): a queue that has
//! been empty within the last `interval` lets each wait up to `interval`; one that has not stands, and then nobody
//! waits longer than `target` and the newest goes first, since whoever waited long has given up already. It stands until
//! nobody was shed for an `interval`: being empty for a moment says nothing, since waits as short as these empty it.

mod gate;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

pub use gate::{CodelGate, CodelGateSettings};

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
        // As after most calls that end.
        if self.is_empty() {
            self.empty = now;
            return Popped {
                next: None,
                shed: Vec::new(),
            };
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
