//! A policy whose breaker is told more than settings can say.

use std::sync::Arc;

use stanchion_telemetry::Metrics;

use super::metrics::PolicyMetrics;
use super::{Parts, Policy, PolicySettings};
use crate::adaptive::Adaptive;
use crate::breaker::{Breaker, BreakerBuilder, Change, Counts};
use crate::budget::Budget;
use crate::bulkhead::Bulkhead;
use crate::deadline::HopCost;
use crate::hedge::Hedge;
use crate::rate::Rate;
use crate::retry::Retry;
use crate::throttle::Throttle;
use crate::{Dice, Moment};

type Listener = Box<dyn Fn(&Change) + Send + Sync>;
type Trips = Box<dyn Fn(&Counts) -> bool + Send + Sync>;

/// Makes a [`Policy`].
pub struct PolicyBuilder {
    name: String,
    settings: PolicySettings,
    metrics: Metrics,
    dice: Dice,
    trips: Option<Trips>,
    listener: Option<Listener>,
}

impl PolicyBuilder {
    pub(super) fn new(name: String, settings: &PolicySettings) -> Self {
        PolicyBuilder {
            name,
            settings: settings.clone(),
            metrics: Metrics::default(),
            dice: Dice::system(),
            trips: None,
            listener: None,
        }
    }

    /// Measures into `metrics`; nobody sees it otherwise.
    #[must_use]
    pub fn metrics(mut self, metrics: &Metrics) -> Self {
        self.metrics = metrics.clone();
        self
    }

    /// Takes its chance from `dice`; from the system otherwise.
    #[must_use]
    pub fn dice(mut self, dice: &Dice) -> Self {
        self.dice = dice.clone();
        self
    }

    /// Opens the breaker when `trips` says so; see [`BreakerBuilder::ready_to_trip`].
    #[must_use]
    pub fn ready_to_trip(
        mut self,
        trips: impl Fn(&Counts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.trips = Some(Box::new(trips));
        self
    }

    /// Tells `listener` of the breaker's changes; see [`BreakerBuilder::on_state_change`].
    #[must_use]
    pub fn on_state_change(mut self, listener: impl Fn(&Change) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// The policy: breaker closed, budgets and buckets full, nobody in a slot.
    #[must_use]
    pub fn build(self) -> Policy {
        let now = Moment::now();
        let metrics = PolicyMetrics::new(&self.metrics, &self.name);
        let (settings, dice) = (self.settings, self.dice);
        let budget = Budget::new(&settings.retry.budget);
        let retry = Retry::with(&settings.retry, budget.clone(), dice.clone());
        let hedge = Hedge::with(&settings.hedge, now);
        // Without retries nothing fills the budget, and the hedge has its own share.
        let hedge = if settings.retry_on {
            hedge.paid_by(budget)
        } else {
            hedge
        };
        let breaker = Breaker::builder(self.name.as_str(), &settings.breaker).dice(dice.clone());
        let breaker = heard(
            breaker,
            metrics.breaker_listener(),
            self.listener,
            self.trips,
        );
        Policy {
            parts: Arc::new(Parts {
                retry: settings.retry_on.then_some(retry),
                hedge: settings.hedge_on.then_some(hedge),
                breaker: settings.breaker_on.then(|| breaker.build_at(now)),
                throttle: settings
                    .throttle_on
                    .then(|| Throttle::with(&settings.throttle, dice.clone(), now)),
                rate: settings.rate_on.then(|| Rate::new(&settings.rate)),
                bulkhead: settings
                    .bulkhead_on
                    .then(|| Bulkhead::new(&settings.bulkhead)),
                adaptive: settings
                    .adaptive_on
                    .then(|| Adaptive::with(&settings.adaptive, dice.clone(), now)),
                hop: HopCost::default(),
                settings,
                name: self.name,
                metrics,
            }),
        }
    }
}

fn heard(
    breaker: BreakerBuilder,
    measured: impl Fn(&Change) + Send + Sync + 'static,
    listener: Option<Listener>,
    trips: Option<Trips>,
) -> BreakerBuilder {
    let breaker = breaker.on_state_change(move |change| {
        measured(change);
        if let Some(listener) = &listener {
            listener(change);
        }
    });
    match trips {
        Some(trips) => breaker.ready_to_trip(trips),
        None => breaker,
    }
}

impl std::fmt::Debug for PolicyBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyBuilder")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
