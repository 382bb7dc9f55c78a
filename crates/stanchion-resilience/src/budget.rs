//! Retry budget: how many retries there may be beside first calls.

use std::sync::Arc;
use std::time::Duration;

use crate::Moment;
use crate::atomic::Cell;
use crate::moment::nanos;

stanchion_config::settings! {
    /// How many retries there may be beside first calls.
    pub struct BudgetSettings {
        /// Retries a first call earns: the share of load that retries may add.
        #[range(0.0..=1.0)]
        pub share: f64 = 0.1,
        /// Retries a second earns, so that a client with few calls can retry at all.
        #[range(0.001..=1000.0)]
        pub per_second: f64 = 1.0,
        /// Retries that can be saved up.
        #[range(1..=10000)]
        pub saved_max: u32 = 10,
    }
}

/// A budget that first calls fill and retries empty; clones are the same budget.
///
/// One per dependency and process, and retries in one tier only: budgets of several tiers multiply. It begins full.
/// The amplification it allows is `1 + share`, plus `per_second` and once `saved_max`. The defaults are Finagle's
/// and Linkerd's form with half their 20 %; gRPC's throttle (A6) saves ten tokens too.
///
/// ```
/// use stanchion_resilience::{Moment, budget::{Budget, BudgetSettings}};
///
/// let budget = Budget::new(&BudgetSettings::default());
/// let now = Moment::START;
/// assert!((0..10).all(|_| budget.withdraw(now)));
/// assert!(!budget.withdraw(now));
/// (0..10).for_each(|_| budget.deposit(now)); // ten first calls earn one retry
/// assert!(budget.withdraw(now));
/// ```
#[derive(Debug, Clone)]
pub struct Budget {
    cell: Arc<Cell>,
    /// What a retry costs, in the time that earns it by itself.
    retry: u64,
    gift: u64,
    room: u64,
}

impl Budget {
    /// A full budget.
    #[must_use]
    pub fn new(settings: &BudgetSettings) -> Self {
        let retry = nanos(Duration::from_secs_f64(
            1.0 / settings.per_second.max(0.001),
        ));
        Budget {
            cell: Arc::new(Cell::new(0)),
            retry,
            // One nanosecond more than the exact share, for ten tenths must make one.
            gift: (retry as f64 * settings.share).ceil() as u64,
            room: retry * u64::from(settings.saved_max.max(1)),
        }
    }

    /// An empty budget: what it pays must be earned first.
    #[must_use]
    pub fn empty(settings: &BudgetSettings, now: Moment) -> Self {
        let budget = Budget::new(settings);
        Budget {
            cell: Arc::new(Cell::new(now.as_nanos().saturating_add(budget.room))),
            ..budget
        }
    }

    /// A first call goes out: count it before it is sent, or an outage finds the budget too small.
    pub fn deposit(&self, now: Moment) {
        self.cell.give(now.as_nanos(), self.gift);
    }

    /// The same now, without reading the clock while the budget is full.
    pub(crate) fn deposit_now(&self) {
        if !self.cell.is_untouched() {
            self.deposit(Moment::now());
        }
    }

    /// Takes a retry out, if there is one.
    #[must_use]
    pub fn withdraw(&self, now: Moment) -> bool {
        self.cell
            .take(now.as_nanos(), self.retry, self.room)
            .is_ok()
    }

    /// Puts back what was taken out for a retry that was not sent.
    pub(crate) fn give_back(&self, now: Moment) {
        self.cell.give(now.as_nanos(), self.retry);
    }

    /// How many retries it would pay for at `now`.
    #[must_use]
    pub fn left(&self, now: Moment) -> f64 {
        self.cell.holds(now.as_nanos(), self.room) as f64 / self.retry as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn given() -> (Budget, Moment) {
        (
            Budget::new(&BudgetSettings::default()),
            Moment::from_nanos(1_000_000_000_000),
        )
    }

    #[test]
    fn a_full_outage_adds_a_tenth_and_one_a_second() {
        let (budget, mut now) = given();
        let (mut calls, mut retries) = (0, 0);
        // 200 calls a second for a minute, each wanting two retries.
        for _ in 0..12_000 {
            budget.deposit(now);
            calls += 1;
            retries += (0..2).filter(|_| budget.withdraw(now)).count();
            now = now + Duration::from_millis(5);
        }
        assert_eq!(calls, 12_000);
        assert!(
            (1_260..=1_280).contains(&retries),
            "{retries} of 1,200 + 60 + 10"
        );
    }

    #[test]
    fn a_quiet_client_has_one_retry_a_second() {
        let (budget, mut now) = given();
        while budget.withdraw(now) {}
        for _ in 0..100 {
            now = now + Duration::from_secs(1);
            assert!(budget.withdraw(now));
            assert!(!budget.withdraw(now));
        }
    }

    proptest! {
        #[test]
        fn no_more_is_withdrawn_than_was_earned(steps in proptest::collection::vec((0..3_u8, 0..2_000_u64), 1..500)) {
            let (budget, begin) = given();
            let (mut now, mut earned) = (begin, 10.0_f64);
            for (step, millis) in steps {
                match step {
                    0 => { budget.deposit(now); earned += 0.1; }
                    1 => if budget.withdraw(now) { earned -= 1.0; },
                    _ => { now = now + Duration::from_millis(millis); earned += millis as f64 / 1_000.0; }
                }
                prop_assert!(earned > -1e-6);
                prop_assert!(budget.left(now) <= 10.0);
            }
        }
    }
}
