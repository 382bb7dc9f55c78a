use std::collections::HashSet;
use std::fmt;

use parking_lot::RwLock;

/// What stands for every value beyond the bound.
const OTHER: &str = "other";

/// Keeps the values of one label to a bounded number: the first ones stay, later ones are `other`.
///
/// For labels whose values come from outside, such as an event's type or a peer's name. A value that was let
/// through once is always let through.
pub struct Bounded {
    values_max: usize,
    values: RwLock<HashSet<String>>,
}

impl Bounded {
    /// At most `values_max` different values, not counting `other`.
    #[must_use]
    pub fn new(values_max: usize) -> Self {
        Bounded {
            values_max,
            values: RwLock::default(),
        }
    }

    /// `value` if it is among the bounded ones or there is room for it, else `other`.
    #[must_use]
    pub fn label<'v>(&self, value: &'v str) -> &'v str {
        if self.values.read().contains(value) {
            return value;
        }
        let mut values = self.values.write();
        if values.len() < self.values_max || values.contains(value) {
            values.insert(value.to_owned());
            return value;
        }
        OTHER
    }
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded")
            .field("values_max", &self.values_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_the_bound_are_other() {
        let labels = Bounded::new(2);
        assert_eq!(
            ["a", "b", "c", "a"].map(|value| labels.label(value)),
            ["a", "b", "other", "a"]
        );
        for stranger in 0..100_000 {
            assert_eq!(labels.label(&stranger.to_string()), "other");
        }
        assert_eq!(labels.label("b"), "b");
    }
}
