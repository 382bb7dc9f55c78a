//! What this process remembers of the streams' versions, and when it is better to ask.

use std::collections::HashMap;

use uuid::Uuid;

/// Streams whose version is remembered, at most; about 10 MiB.
pub(super) const STREAMS_MAX: usize = 131_072;

/// The highest versions seen written or read: each is a lower bound that never becomes false as long as the log
/// only grows. Forgets what was not used for long.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Grows whenever everything was forgotten: what was read before must not be learned after.
    age: u64,
    young: HashMap<Uuid, i64>,
    old: HashMap<Uuid, i64>,
}

impl Known {
    /// The highest version seen of a stream.
    pub(super) fn get(&mut self, stream: Uuid) -> Option<i64> {
        if let Some(version) = self.young.get(&stream) {
            return Some(*version);
        }
        let version = self.old.remove(&stream)?;
        self.keep(stream, version);
        Some(version)
    }

    /// Which life of the memory this is; to be asked before the log is.
    pub(super) fn age(&self) -> u64 {
        self.age
    }

    /// A stream has at least this version, as was read in that life.
    pub(super) fn learn(&mut self, age: u64, stream: Uuid, version: i64) {
        if age == self.age && self.get(stream).is_none_or(|known| known < version) {
            self.keep(stream, version);
        }
    }

    /// Forgets all: the server may be another one, or have lost its tail.
    pub(super) fn forget(&mut self) {
        self.age += 1;
        self.young.clear();
        self.old.clear();
    }

    fn keep(&mut self, stream: Uuid, version: i64) {
        if self.young.len() >= STREAMS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(stream, version);
    }
}

/// A refused batch weighs as much as so many good ones: more than one in a hundred is too many.
const REFUSED_WEIGHS: u32 = 100;

/// With this weight the fast way is left for a while.
const WEIGHT_MAX: u32 = 300;

/// How many batches go the checked way then.
const CHECKED_FOR: u32 = 256;

/// Whether the fast way pays: a batch that it refuses is done twice.
#[derive(Debug, Default)]
pub(super) struct Mood {
    weight: u32,
    checked_left: u32,
}

impl Mood {
    /// Whether the next batch may go the fast way; counts the batches that may not.
    pub(super) fn is_fast(&mut self) -> bool {
        if self.checked_left == 0 {
            return true;
        }
        self.checked_left -= 1;
        false
    }

    /// A fast batch was committed.
    pub(super) fn went_well(&mut self) {
        self.weight = self.weight.saturating_sub(1);
    }

    /// A fast batch was refused.
    pub(super) fn was_refused(&mut self) {
        self.weight += REFUSED_WEIGHS;
        if self.weight >= WEIGHT_MAX {
            // One more refusal after that is enough to leave it again.
            self.weight = WEIGHT_MAX - REFUSED_WEIGHS;
            self.checked_left = CHECKED_FOR;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_lower_bound_that_only_grows() {
        let mut known = Known::default();
        let stream = Uuid::from_u128(1);
        known.learn(0, stream, 4);
        known.learn(0, stream, 3);
        assert_eq!(known.get(stream), Some(4));
        known.forget();
        known.learn(0, stream, 5);
        assert_eq!(
            known.get(stream),
            None,
            "it was read before the memory was lost"
        );
        known.learn(known.age(), stream, 1);
        assert_eq!(known.get(stream), Some(1));
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_what_is_used() {
        let mut known = Known::default();
        let used = Uuid::from_u128(u128::MAX);
        known.learn(0, used, 7);
        for n in 0..STREAMS_MAX as u128 * 2 {
            known.learn(0, Uuid::from_u128(n), 0);
            if n % 1_000 == 0 {
                assert_eq!(known.get(used), Some(7));
            }
        }
        assert!(known.young.len() + known.old.len() <= STREAMS_MAX);
        assert_eq!(known.get(Uuid::from_u128(0)), None);
    }

    #[test]
    fn many_refusals_are_followed_by_a_while_of_asking() {
        let mut mood = Mood::default();
        for _ in 0..10 {
            mood.was_refused();
            (0..REFUSED_WEIGHS).for_each(|_| mood.went_well());
            assert!(mood.is_fast(), "one in a hundred is fine");
        }
        (0..3).for_each(|_| mood.was_refused());
        let asked = (0..CHECKED_FOR).filter(|_| !mood.is_fast()).count();
        assert_eq!((asked, mood.is_fast()), (CHECKED_FOR as usize, true));
        mood.was_refused();
        assert!(!mood.is_fast());
    }
}
