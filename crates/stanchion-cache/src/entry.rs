//! One entry, and what it is good for at a moment. Without clock or chance of its own.

use std::sync::Arc;
use std::time::Duration;

use stanchion_resilience::Moment;

/// The largest version: what a script of Redis counts exactly. Larger ones count as this.
pub const VERSION_MAX: u64 = (1 << 53) - 1;

/// Beyond so many load times before its end no entry is refreshed: the chance is 2 in a billion.
const EARLY_SPAN: u32 = 20;

/// What a loader found in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded<V> {
    pub(crate) value: Option<V>,
    pub(crate) version: u64,
}

impl<V> Loaded<V> {
    /// It is there, and says no version.
    pub fn found(value: V) -> Self {
        Loaded {
            value: Some(value),
            version: 0,
        }
    }

    /// There is nothing of this key.
    #[must_use]
    pub fn absent() -> Self {
        Loaded {
            value: None,
            version: 0,
        }
    }

    /// As of this version of the thing, from 1: while an entry counts, none of a lower version replaces it. At most
    /// [`VERSION_MAX`].
    #[must_use]
    pub fn version(mut self, version: u64) -> Self {
        self.version = version.min(VERSION_MAX);
        self
    }
}

impl<V> From<Option<V>> for Loaded<V> {
    fn from(found: Option<V>) -> Self {
        Loaded {
            value: found,
            version: 0,
        }
    }
}

/// What this process keeps of a key.
#[derive(Debug)]
pub(crate) struct Slot<V> {
    pub(crate) value: Option<Arc<V>>,
    pub(crate) version: u64,
    pub(crate) fresh_until: Moment,
    /// From then on it is not even given when loading fails.
    pub(crate) kept_until: Moment,
    /// Until then no lower version replaces it.
    pub(crate) guarded_until: Moment,
    /// How long loading took.
    pub(crate) cost: Duration,
    /// It is no entry, and only guards a version.
    pub(crate) is_guard: bool,
}

impl<V> Clone for Slot<V> {
    fn clone(&self) -> Self {
        Slot {
            value: self.value.clone(),
            ..*self
        }
    }
}

/// What a slot is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It is given.
    Fresh,
    /// It is given, and loaded again behind the reader's back.
    Early,
    /// It is given when loading fails.
    Stale,
    /// It is nothing any more.
    Nothing,
}

impl<V> Slot<V> {
    /// At `now`, with a `throw` from 0 up to but without 1 that is made only near the end: refresh when
    /// `cost × -ln(throw)` reaches the time left.
    pub(crate) fn worth(&self, now: Moment, throw: impl FnOnce() -> f64) -> Worth {
        if now >= self.kept_until {
            return Worth::Nothing;
        }
        if now >= self.fresh_until {
            return Worth::Stale;
        }
        let left = self.fresh_until.since(now);
        if left >= self.cost.saturating_mul(EARLY_SPAN) {
            return Worth::Fresh;
        }
        // 1 - throw is never zero.
        let reach = self.cost.as_secs_f64() * -(1.0 - throw()).ln();
        if reach >= left.as_secs_f64() {
            Worth::Early
        } else {
            Worth::Fresh
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(fresh_for: u64, cost: u64) -> Slot<()> {
        let fresh_until = Moment::START + Duration::from_millis(fresh_for);
        Slot {
            value: None,
            version: 0,
            fresh_until,
            kept_until: fresh_until + Duration::from_millis(100),
            guarded_until: fresh_until,
            cost: Duration::from_millis(cost),
            is_guard: false,
        }
    }

    fn at(millis: u64) -> Moment {
        Moment::START + Duration::from_millis(millis)
    }

    #[test]
    fn it_is_fresh_then_stale_then_nothing() {
        let slot = slot(1_000, 0);
        let worth = |millis| slot.worth(at(millis), || 0.5);
        assert_eq!(worth(999), Worth::Fresh);
        assert_eq!(worth(1_000), Worth::Stale);
        assert_eq!(worth(1_099), Worth::Stale);
        assert_eq!(worth(1_100), Worth::Nothing);
    }

    #[test]
    fn the_chance_of_a_refresh_is_e_to_the_minus_left_by_cost() {
        let slot = slot(1_000, 100);
        let share = |left: u64| {
            let early = (0..10_000).filter(|throw| {
                let throw = f64::from(*throw) / 10_000.0;
                slot.worth(at(1_000 - left), || throw) == Worth::Early
            });
            early.count() as f64 / 10_000.0
        };
        for left in [1, 50, 100, 200, 400] {
            let expected = (-(left as f64) / 100.0).exp();
            assert!((share(left) - expected).abs() < 0.001, "{left} ms left");
        }
    }

    #[test]
    fn far_from_the_end_no_dice_are_thrown() {
        let slot = slot(1_000, 10);
        let worth = slot.worth(at(0), || panic!("a throw costs more than the lookup"));
        assert_eq!(worth, Worth::Fresh);
    }
}
