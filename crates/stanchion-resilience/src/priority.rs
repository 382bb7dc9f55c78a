//! Priority classes: who is shed first.

/// How much a request matters; under overload bulk goes first and critical last.
///
/// Each class may fill only a share of a limit, so the rest is always there for the classes above it (Netflix'
/// partitions). Health checks and the admin port pass no limit at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Somebody waits, and money or safety depends on it. May fill the whole limit.
    Critical,
    /// Somebody waits. May fill nine tenths.
    #[default]
    Normal,
    /// Nobody waits: refreshes, prefetches. May fill six tenths.
    Background,
    /// It may as well run at night. May fill three tenths.
    Bulk,
}

impl Priority {
    /// All classes, the most important first.
    pub const ALL: [Priority; 4] = [
        Priority::Critical,
        Priority::Normal,
        Priority::Background,
        Priority::Bulk,
    ];

    /// How many of `limit` calls at a time this class may be the last of; at least one, as long as one is allowed.
    #[must_use]
    pub fn part_of(self, limit: u32) -> u32 {
        let tenths = match self {
            Priority::Critical => 10,
            Priority::Normal => 9,
            Priority::Background => 6,
            Priority::Bulk => 3,
        };
        u32::try_from((u64::from(limit) * tenths).div_ceil(10)).unwrap_or(limit)
    }

    /// Its name as a metric's label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Priority::Critical => "critical",
            Priority::Normal => "normal",
            Priority::Background => "background",
            Priority::Bulk => "bulk",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_leaves_room_for_those_above_it() {
        assert_eq!(
            Priority::ALL.map(|class| class.part_of(20)),
            [20, 18, 12, 6]
        );
        assert_eq!(Priority::ALL.map(|class| class.part_of(1)), [1, 1, 1, 1]);
        assert!(Priority::Critical < Priority::Bulk);
    }
}
