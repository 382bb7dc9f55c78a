//! The highest rate that a target holds: what to try next, decided from what was held so far.

use std::time::Duration;

use crate::report::Report;

/// Held means that at least this share of what was due is answered well, within the measured time.
const ACHIEVED_SHARE_MIN: f64 = 0.99;
/// Until the first rate that is not held, each is so much higher.
const GROWTH: f64 = 1.6;

/// When a rate counts as held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Criteria {
    /// Of all requests, from their intended start.
    pub p99: Duration,
    /// 0 allows no failure; 0.001 one in a thousand.
    pub error_share: f64,
}

impl Criteria {
    /// That p99, no error.
    #[must_use]
    pub fn p99(p99: Duration) -> Self {
        Self {
            p99,
            error_share: 0.0,
        }
    }

    /// Whether a run meets them: latency, errors, and good answers to at least 99 % of what was due, within the time.
    #[must_use]
    pub fn are_met_by(&self, report: &Report) -> bool {
        let kept_up = report.achieved_rate >= report.due_rate() * ACHIEVED_SHARE_MIN;
        let fast = u128::from(report.latency.p99_us) <= self.p99.as_micros();
        kept_up && fast && report.error_share() <= self.error_share
    }
}

/// A search: ask for the [`next`](Self::next) rate, run it, [`tell`](Self::tell) whether it was held.
///
/// Up by 1.6 until a rate is not held (down by as much if the first was not), then the middle, until both ends are
/// within the precision. Each rate is tried at most twice: what fails once at the border of what is known, on a machine
/// that others disturb, is asked again before it counts.
///
/// ```
/// let mut search = stanchion_load::Search::between(100.0, 20_000.0, 0.05);
/// while let Some(rate) = search.next() {
///     search.tell(rate, rate <= 3_000.0); // here: run the load
/// }
/// let held = search.held().unwrap();
/// assert!((2_850.0..=3_000.0).contains(&held));
/// ```
#[derive(Debug, Clone)]
pub struct Search {
    lowest: f64,
    highest: f64,
    /// The ends of the unknown meet when they are within this share.
    precision: f64,
    held: Option<f64>,
    failed: Option<f64>,
    /// Failed once, to be asked again.
    doubted: Option<f64>,
    first: f64,
}

impl Search {
    /// From `lowest`, never above `highest`, to within `precision` (0.05: 5 %).
    #[must_use]
    pub fn between(lowest: f64, highest: f64, precision: f64) -> Self {
        Self {
            lowest,
            highest,
            precision: precision.max(0.001),
            held: None,
            failed: None,
            doubted: None,
            first: lowest,
        }
    }

    /// Begins at `rate` rather than at the lowest: where an earlier search ended.
    #[must_use]
    pub fn starting_at(mut self, rate: f64) -> Self {
        self.first = rate.clamp(self.lowest, self.highest);
        self
    }

    /// The rate to run now; `None` when the answer is known.
    #[must_use]
    pub fn next(&self) -> Option<f64> {
        if let Some(doubted) = self.doubted {
            return Some(doubted);
        }
        match (self.held, self.failed) {
            (None, None) => Some(self.first),
            (Some(held), None) => (held < self.highest).then(|| (held * GROWTH).min(self.highest)),
            (None, Some(failed)) => {
                (failed > self.lowest).then(|| (failed / GROWTH).max(self.lowest))
            }
            (Some(held), Some(failed)) => {
                (failed / held > 1.0 + self.precision).then(|| f64::midpoint(held, failed))
            }
        }
    }

    /// What came of a rate.
    pub fn tell(&mut self, rate: f64, held: bool) {
        let again = self.doubted.take() == Some(rate);
        match held {
            true => self.held = Some(self.held.map_or(rate, |known| known.max(rate))),
            false if again => self.rule_out(rate),
            false => self.doubted = Some(rate),
        }
    }

    /// A rate that was missed by so much that it is not worth asking again.
    pub fn rule_out(&mut self, rate: f64) {
        self.doubted = None;
        self.failed = Some(self.failed.map_or(rate, |known| known.min(rate)));
    }

    /// The highest rate that was held; `None` when not even the lowest was.
    #[must_use]
    pub fn held(&self) -> Option<f64> {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(capacity: f64, search: Search) -> (Option<f64>, u32) {
        let (mut search, mut steps) = (search, 0);
        while let Some(rate) = search.next() {
            search.tell(rate, rate <= capacity);
            steps += 1;
            assert!(steps < 100, "it does not end");
        }
        (search.held(), steps)
    }

    #[test]
    fn it_ends_within_the_precision_below_what_is_held() {
        for capacity in [130.0, 999.0, 4_321.0, 11_000.0] {
            let (held, steps) = found(capacity, Search::between(100.0, 20_000.0, 0.05));
            let held = held.unwrap();
            assert!(
                held <= capacity && held >= capacity / 1.06,
                "{held} of {capacity}"
            );
            assert!(steps < 25, "{steps} steps to {capacity}");
        }
    }

    #[test]
    fn a_hint_saves_steps_and_changes_no_answer() {
        let plain = Search::between(100.0, 20_000.0, 0.05);
        let hinted = plain.clone().starting_at(4_300.0);
        assert!(found(4_321.0, hinted).1 < found(4_321.0, plain.clone()).1);
        let (held, _) = found(200.0, plain.starting_at(15_000.0));
        assert!((188.0..=200.0).contains(&held.unwrap()), "{held:?}");
    }

    #[test]
    fn its_ends_are_its_ends() {
        let search = || Search::between(100.0, 1_000.0, 0.05);
        assert_eq!(found(1e9, search()).0, Some(1_000.0));
        assert_eq!(found(50.0, search()).0, None);
    }

    #[test]
    fn one_disturbed_run_does_not_count() {
        let mut search = Search::between(1_000.0, 2_000.0, 0.05);
        let first = search.next().unwrap();
        search.tell(first, false);
        assert_eq!(search.next(), Some(first));
        search.tell(first, true);
        assert_eq!(search.held(), Some(first));
        assert!(search.next().unwrap() > first);
    }

    #[test]
    fn a_rate_that_is_ruled_out_is_not_asked_again() {
        let mut search = Search::between(1_000.0, 8_000.0, 0.05).starting_at(4_000.0);
        search.rule_out(4_000.0);
        assert_eq!(search.next(), Some(2_500.0));
        search.tell(2_500.0, false);
        search.rule_out(2_500.0);
        assert_eq!(search.next(), Some(2_500.0 / 1.6));
    }

    #[test]
    fn criteria_ask_for_latency_errors_and_rate() {
        let mut report = Report {
            offered_rate: 100.0,
            achieved_rate: 100.0,
            requests: 1_000,
            seconds: 10.0,
            ..Report::default()
        };
        report.latency.p99_us = 20_000;
        let criteria = Criteria::p99(Duration::from_millis(25));
        assert!(criteria.are_met_by(&report));
        let slow = Criteria::p99(Duration::from_millis(19));
        assert!(!slow.are_met_by(&report));
        report.errors = 1;
        assert!(!criteria.are_met_by(&report));
        report.errors = 0;
        report.achieved_rate = 98.0;
        assert!(!criteria.are_met_by(&report));
    }
}
