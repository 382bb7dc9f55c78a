//! The last words written, by every thread on its own cache line.

use super::sync::{AtomicU64, Ordering};

/// A ring of the last non-zero words, sharded by the writer: a write touches no line that another shard writes.
///
/// A reader sees each word whole or not at all. While a writer overwrites its oldest word the reader may see the
/// old one, the new one, never a mix, and never one twice in a slot.
#[derive(Debug)]
pub(crate) struct Ring {
    shards: Box<[Shard]>,
}

/// Two lines, because the prefetcher fetches them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    next: AtomicU64,
    words: Box<[AtomicU64]>,
}

impl Ring {
    /// `shards` rings of at least `words` words each; both are rounded up to a power of two.
    pub(crate) fn new(shards: usize, words: usize) -> Self {
        let words = words.next_power_of_two();
        let shard = |_| Shard {
            next: AtomicU64::new(0),
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
        };
        Ring {
            shards: (0..shards.next_power_of_two()).map(shard).collect(),
        }
    }

    /// Writes `word` over the oldest of the shard; returns how many were written there before.
    pub(crate) fn push(&self, shard: usize, word: u64) -> u64 {
        let shard = &self.shards[shard & (self.shards.len() - 1)];
        // Only the slot must be told apart; the word itself carries everything a reader needs.
        let turn = shard.next.fetch_add(1, Ordering::Relaxed);
        shard.words[turn as usize & (shard.words.len() - 1)].store(word, Ordering::Release);
        turn
    }

    /// Every word there is, in no order.
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> {
        self.shards
            .iter()
            .flat_map(|shard| shard.words.iter())
            .map(|word| word.load(Ordering::Acquire))
            .filter(|word| *word != 0)
    }
}
