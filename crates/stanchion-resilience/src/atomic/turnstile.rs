//! Slots, and the line of those who wait for one: what a bulkhead is without its timers and tasks.

use std::collections::VecDeque;

use super::sync::{AtomicU64, Mutex, Ordering};

/// A fixed number of slots with a bounded line before them, first come first served.
///
/// One word holds how many slots are in use (low half) and how many wait (high half). While nobody waits, taking and
/// freeing a slot is one exchange of it. Once somebody waits no slot is ever free: whoever leaves hands it to the
/// first in the line, under the line's lock, so no newcomer can pass. `W` is what wakes a waiter.
#[derive(Debug)]
pub(crate) struct Turnstile<W> {
    word: AtomicU64,
    line: Mutex<Line<W>>,
    slots: u32,
    places: u32,
}

#[derive(Debug)]
struct Line<W> {
    /// In the order of their numbers.
    waiting: VecDeque<(u64, W)>,
    next: u64,
}

/// What became of somebody who asked to wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A slot was free after all.
    Slot,
    /// A place in the line, by its number.
    Place(u64),
    /// The line is full.
    Full,
}

/// What a waiter that gives up had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Had {
    /// A place in the line, which is now another's.
    Place,
    /// A slot, handed to it in this very moment: it must leave it.
    Slot,
}

const WAITER: u64 = 1 << 32;

impl<W> Turnstile<W> {
    pub(crate) fn new(slots: u32, places: u32) -> Self {
        Turnstile {
            word: AtomicU64::new(0),
            line: Mutex::new(Line {
                waiting: VecDeque::new(),
                next: 0,
            }),
            slots,
            places,
        }
    }

    /// A slot, if one is free and nobody waits.
    pub(crate) fn enter(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while waiting(word) == 0 && running(word) < self.slots {
            match self.exchange(word, word + 1) {
                Ok(()) => return true,
                Err(other) => word = other,
            }
        }
        false
    }

    /// A slot if there is one now, else a place in the line.
    pub(crate) fn wait(&self, waker: W) -> Asked {
        let mut line = self.line.lock();
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let has_slot = waiting(word) == 0 && running(word) < self.slots;
            if !has_slot && waiting(word) >= self.places {
                return Asked::Full;
            }
            let next = if has_slot { word + 1 } else { word + WAITER };
            match self.exchange(word, next) {
                Ok(()) if has_slot => return Asked::Slot,
                Ok(()) => return Asked::Place(line.push(waker)),
                Err(other) => word = other,
            }
        }
    }

    /// Gives a slot back. What is returned wakes the waiter whose slot it is now; none means that it is free.
    pub(crate) fn leave(&self) -> Option<W> {
        let mut word = self.word.load(Ordering::Relaxed);
        while waiting(word) == 0 {
            match self.exchange(word, word - 1) {
                Ok(()) => return None,
                Err(other) => word = other,
            }
        }
        let mut line = self.line.lock();
        let first = line.waiting.pop_front();
        // With the line held nobody comes to wait; and if all have given up meanwhile, the slot is free after all.
        let gone = if first.is_some() { WAITER } else { 1 };
        self.word.fetch_sub(gone, Ordering::AcqRel);
        first.map(|(_, waker)| waker)
    }

    /// Takes a waiter out of the line, unless it has been handed a slot already.
    pub(crate) fn give_up(&self, number: u64) -> Had {
        let mut line = self.line.lock();
        let place = line.waiting.binary_search_by_key(&number, |(own, _)| *own);
        match place {
            Ok(place) => {
                line.waiting.remove(place);
                self.word.fetch_sub(WAITER, Ordering::AcqRel);
                Had::Place
            }
            Err(_) => Had::Slot,
        }
    }

    /// Slots in use.
    pub(crate) fn running(&self) -> u32 {
        running(self.word.load(Ordering::Relaxed))
    }

    /// Waiters in the line.
    pub(crate) fn waiting(&self) -> u32 {
        waiting(self.word.load(Ordering::Relaxed))
    }

    /// Acquire and release: who takes a slot sees what was done by those who had it before.
    fn exchange(&self, word: u64, next: u64) -> Result<(), u64> {
        self.word
            .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
            .map(|_| ())
    }
}

impl<W> Line<W> {
    fn push(&mut self, waker: W) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting.push_back((number, waker));
        number
    }
}

fn running(word: u64) -> u32 {
    (word & (WAITER - 1)) as u32
}

fn waiting(word: u64) -> u32 {
    (word >> 32) as u32
}
