//! The entries of this process.

use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use stanchion_resilience::Moment;

use crate::entry::Slot;

/// Keys that share an epoch: a change of one makes the others' loads under way unkept, and who asks next loads beside
/// them. So many that this is rare even while thousands of keys a second change; 256 KiB a cache.
const EPOCHS: usize = 16_384;

/// Entries by key. Reading takes no lock of its own; whoever writes holds its key's epoch.
#[derive(Debug)]
pub(crate) struct Local<K, V> {
    slots: Cache<K, Slot<V>>,
    /// How often something of these keys was invalidated.
    epochs: Box<[Mutex<u64>]>,
    hasher: RandomState,
}

/// When a load began: what was invalidated since makes it old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Epoch(u64);

impl<K: Hash + Eq + Clone, V> Local<K, V> {
    pub(crate) fn new(entries_max: u32) -> Self {
        Local {
            slots: Cache::new(entries_max as usize),
            epochs: (0..EPOCHS).map(|_| Mutex::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<Slot<V>> {
        self.slots.get(key)
    }

    pub(crate) fn epoch(&self, key: &K) -> Epoch {
        Epoch(*self.of(key).lock())
    }

    /// Keeps it, unless its load began before the last invalidation or something newer is guarded at `now`.
    pub(crate) fn put(&self, key: K, mut slot: Slot<V>, begun: Epoch, now: Moment) -> bool {
        let epoch = self.of(&key).lock();
        if Epoch(*epoch) != begun {
            return false;
        }
        if let Some(kept) = self.slots.peek(&key) {
            if kept.version > slot.version && now < kept.guarded_until {
                return false;
            }
            if kept.is_guard {
                slot.guarded_until = slot.guarded_until.max(kept.guarded_until);
            }
        }
        self.slots.insert(key, slot);
        true
    }

    /// From here on nothing is given that was loaded before.
    pub(crate) fn forget(&self, key: &K) {
        let mut epoch = self.of(key).lock();
        *epoch += 1;
        // What only guards a version gives no value, and stays: our own invalidation is told to us as well.
        if !self.slots.peek(key).is_some_and(|slot| slot.is_guard) {
            self.slots.remove(key);
        }
    }

    /// The same; and until then nothing below that version is kept.
    pub(crate) fn forget_below(&self, key: &K, version: u64, now: Moment, guarded_until: Moment) {
        let mut epoch = self.of(key).lock();
        *epoch += 1;
        let nothing = Slot {
            value: None,
            version,
            fresh_until: now,
            kept_until: now,
            guarded_until,
            cost: Duration::ZERO,
            is_guard: true,
        };
        self.slots.insert(key.clone(), nothing);
    }

    /// As [`forget`](Self::forget), of all keys.
    pub(crate) fn clear(&self) {
        for epoch in &self.epochs {
            *epoch.lock() += 1;
        }
        self.slots.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    fn of(&self, key: &K) -> &Mutex<u64> {
        let hash = self.hasher.hash_one(key);
        &self.epochs[hash as usize % EPOCHS]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const NOW: Moment = Moment::START;
    const END: Duration = Duration::from_secs(1);

    fn slot(version: u64) -> Slot<u64> {
        let until = NOW + END;
        Slot {
            value: Some(Arc::new(version)),
            version,
            fresh_until: until,
            kept_until: until,
            guarded_until: until,
            cost: Duration::ZERO,
            is_guard: false,
        }
    }

    fn kept(local: &Local<&'static str, u64>) -> Option<u64> {
        local.get(&"tea").map(|slot| slot.version)
    }

    #[test]
    fn an_older_version_replaces_nothing_that_counts() {
        let local = Local::new(10);
        let epoch = local.epoch(&"tea");
        assert!(local.put("tea", slot(2), epoch, NOW));
        assert!(!local.put("tea", slot(1), epoch, NOW));
        assert_eq!(kept(&local), Some(2));
        assert!(local.put("tea", slot(2), epoch, NOW));
        assert!(local.put("tea", slot(1), epoch, NOW + END));
    }

    #[test]
    fn what_was_loaded_before_an_invalidation_is_not_kept_after_it() {
        let local = Local::new(10);
        let before = local.epoch(&"tea");
        local.forget(&"tea");
        assert!(!local.put("tea", slot(9), before, NOW));
        assert!(local.put("tea", slot(1), local.epoch(&"tea"), NOW));
        let before = local.epoch(&"tea");
        local.clear();
        assert_eq!(kept(&local), None);
        assert!(!local.put("tea", slot(9), before, NOW));
    }

    #[test]
    fn below_the_version_of_an_invalidation_nothing_is_kept_for_a_while() {
        let local = Local::new(10);
        local.forget_below(&"tea", 5, NOW, NOW + END);
        local.forget(&"tea");
        let epoch = local.epoch(&"tea");
        assert!(!local.put("tea", slot(4), epoch, NOW));
        assert!(local.put("tea", slot(5), epoch, NOW));
        local.forget_below(&"tea", 5, NOW, NOW + END);
        assert!(local.put("tea", slot(4), local.epoch(&"tea"), NOW + END));
    }

    #[test]
    fn it_keeps_no_more_than_it_may() {
        let local = Local::new(100);
        for number in 0..10_000_u64 {
            local.put(number, slot(1), local.epoch(&number), NOW);
        }
        assert!(local.len() <= 100, "{}", local.len());
    }
}
