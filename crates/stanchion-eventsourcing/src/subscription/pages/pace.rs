//! How large the next page is: by the backlog, by how long pages take to handle, and by what their entries weigh.

use std::time::Duration;

use crate::Recorded;

/// The most entries of a page: a log gives no more at once.
const ENTRIES_MAX: usize = 10_000;

/// How much memory the entries of a page may take, in bytes, as far as those of the page before tell.
const PAGE_BYTES: usize = 4 << 20;

/// Entries of a page that are weighed, evenly spread.
const WEIGHED: usize = 64;

/// How much larger the next page is after a full one.
const GROWTH: usize = 4;

/// How long handling a page should take at most: who waits for its end (locks, other writers, readers of what comes
/// after it) waits no longer. Handling may take more than proportionally longer with the page's size.
const HANDLED_MAX: Duration = Duration::from_millis(250);

/// How many entries the next page has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    least: usize,
    most: usize,
    ceiling: usize,
    size: usize,
    /// How many entries as heavy as those of the last page weigh as much as a page may.
    light: usize,
}

impl Pace {
    pub(super) fn new(least: usize, most: usize) -> Self {
        let least = least.clamp(1, ENTRIES_MAX);
        let most = most.clamp(least, ENTRIES_MAX);
        Self {
            least,
            most,
            ceiling: most,
            size: least,
            light: most,
        }
    }

    /// The entries to ask for.
    pub(super) fn size(&self) -> usize {
        self.size.min(self.light)
    }

    /// Learns from a page of which `limit` entries were asked for.
    pub(super) fn saw(&mut self, entries: &[Recorded], limit: usize) {
        self.light = light(entries).unwrap_or(self.light).min(self.most);
        self.grow(entries.len() >= limit);
    }

    fn grow(&mut self, full_page: bool) {
        if full_page {
            self.size = (self.size * GROWTH).min(self.ceiling);
        } else {
            self.size = self.least;
            self.ceiling = self.most;
        }
    }

    /// Stays below what takes too long, and tries more again once that is far away.
    pub(super) fn handled(&mut self, entries: usize, took: Duration) {
        if took > HANDLED_MAX {
            let share = HANDLED_MAX.as_secs_f64() / took.as_secs_f64();
            self.ceiling = ((entries as f64 * share) as usize).clamp(self.least, self.most);
            self.size = self.size.min(self.ceiling);
        } else if took < HANDLED_MAX / 4 {
            self.ceiling = (self.ceiling * 2).min(self.most);
        }
    }

    /// Stays below what failed until it has caught up.
    pub(super) fn slow_down(&mut self) {
        self.ceiling = (self.size / GROWTH).max(self.least);
        self.size = self.least;
    }
}

/// How many such entries weigh as much as a page may; at least one.
fn light(entries: &[Recorded]) -> Option<usize> {
    let step = entries.len().div_ceil(WEIGHED).max(1);
    let (mut count, mut bytes) = (0, 0);
    for entry in entries.iter().step_by(step) {
        count += 1;
        bytes += size_of::<Recorded>() + entry.data.as_str().len();
    }
    (count > 0).then(|| (PAGE_BYTES * count / bytes.max(1)).max(1))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::{Metadata, Position, StreamId, Version};

    fn entries(count: usize, data: &Value) -> Vec<Recorded> {
        let entry = |version| Recorded {
            position: Position(version + 1),
            stream: StreamId::new("note", "1"),
            version: Version(version),
            id: Uuid::nil(),
            kind: "written".into(),
            data: data.clone().into(),
            metadata: Metadata::new(None),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        (0..).take(count).map(entry).collect()
    }

    #[test]
    fn pages_of_heavy_entries_stay_small() {
        let mut pace = Pace::new(100, 10_000);
        for _ in 0..4 {
            pace.saw(&entries(100, &json!({"text": "x".repeat(100 << 10)})), 100);
        }
        assert!((30..=45).contains(&pace.size()), "{}", pace.size());
        for _ in 0..2 {
            pace.saw(&entries(100, &json!(7)), 100);
        }
        assert_eq!(pace.size(), 10_000, "light ones do not");
        pace.saw(&entries(1, &json!({"text": "x".repeat(8 << 20)})), 1);
        assert_eq!(pace.size(), 1, "one always");
    }

    #[test]
    fn pages_grow_with_the_backlog_and_shrink_at_the_head() {
        let mut pace = Pace::new(100, 10_000);
        let mut sizes = Vec::new();
        for full in [true, true, true, true, true, false, true] {
            pace.grow(full);
            sizes.push(pace.size);
        }
        assert_eq!(sizes, [400, 1_600, 6_400, 10_000, 10_000, 100, 400]);
    }

    #[test]
    fn a_page_that_took_long_makes_the_later_ones_smaller_until_they_are_quick() {
        let mut pace = Pace::new(100, 10_000);
        for _ in 0..4 {
            pace.grow(true);
        }
        pace.handled(10_000, Duration::from_secs(5));
        assert_eq!(pace.size, 500);
        pace.grow(true);
        pace.handled(500, Duration::from_millis(100));
        assert_eq!(pace.size, 500, "neither slow nor quick: it stays");
        let mut sizes = Vec::new();
        for _ in 0..6 {
            pace.handled(pace.size, Duration::from_millis(10));
            pace.grow(true);
            sizes.push(pace.size);
        }
        assert_eq!(sizes, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    }

    #[test]
    fn after_a_failure_pages_stay_small_until_it_has_caught_up() {
        let mut pace = Pace::new(100, 10_000);
        for _ in 0..4 {
            pace.grow(true);
        }
        pace.slow_down();
        let mut sizes = vec![pace.size];
        for full in [true, true, true, false, true, true, true] {
            pace.grow(full);
            sizes.push(pace.size);
        }
        assert_eq!(sizes, [100, 400, 1_600, 2_500, 100, 400, 1_600, 6_400]);
    }
}
