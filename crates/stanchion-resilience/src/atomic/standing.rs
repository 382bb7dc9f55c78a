//! The state of a breaker as every call looks at it, changed by one writer at a time.

use super::sync::{AtomicU64, Ordering};

/// A word for the state, with the two moments that belong to it.
///
/// Writers hold a lock of their owner. Who reads a word sees the moments written with it, or those of a later one.
#[derive(Debug)]
pub(crate) struct Standing {
    word: AtomicU64,
    /// When the state began, and for some when it ends: nanoseconds.
    since: AtomicU64,
    until: AtomicU64,
}

impl Standing {
    pub(crate) fn new(word: u64, since: u64) -> Self {
        Standing {
            word: AtomicU64::new(word),
            since: AtomicU64::new(since),
            until: AtomicU64::new(since),
        }
    }

    pub(crate) fn word(&self) -> u64 {
        // Pairs with the release in `change`: the moments written before it are seen after this.
        self.word.load(Ordering::Acquire)
    }

    pub(crate) fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }

    pub(crate) fn until(&self) -> u64 {
        self.until.load(Ordering::Relaxed)
    }

    /// The next state; one writer at a time.
    pub(crate) fn change(&self, word: u64, since: u64, until: u64) {
        self.until.store(until, Ordering::Relaxed);
        self.since.store(since, Ordering::Relaxed);
        self.word.store(word, Ordering::Release);
    }
}
