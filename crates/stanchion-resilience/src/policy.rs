//! Policy: everything that guards the calls to one dependency, in the one right order.
//!
//! | outermost first | its place |
//! |---|---|
//! | deadline | bounds all that follows, waits between attempts too |
//! | retry, with budget | outside of the breaker: each attempt is judged, and an open breaker ends the retries |
//! | hedge | within an attempt, for reads: two tries of one attempt |
//! | breaker, asked | before anything is waited for: an open one refuses at once |
//! | throttle | spares an overloaded dependency before a rate token is spent |
//! | rate | what we agreed to send at most |
//! | bulkhead and adaptive limit | a bounded wait for a slot, of which what can wait leaves some; what they shed is no failure of the dependency |
//! | breaker, passed | after the wait, so that no probe's place is held by a call that queues |
//! | timeout | inside the breaker: a call that takes too long is a failure |
//!
//! One clock ([`Moment::now`](crate::Moment::now)), one label (`dependency`), one section of the configuration. Each
//! part can be switched off; [`Policy::breaker`] and the others give access to it, for an operator who forces or
//! resets one.

mod builder;
mod call;
mod display;
mod layer;
mod metrics;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use stanchion_telemetry::Metrics;

pub use builder::PolicyBuilder;
pub use layer::{Guarding, PolicyLayer, PolicyRule};
pub use settings::PolicySettings;

use crate::adaptive::Adaptive;
use crate::breaker::{Breaker, Verdict};
use crate::bulkhead::Bulkhead;
use crate::deadline::HopCost;
use crate::hedge::Hedge;
use crate::rate::Rate;
use crate::retry::{GaveUp, Retry, Retryable};
use crate::throttle::Throttle;
use crate::{Dice, Failure};
use metrics::PolicyMetrics;

/// The guard of one dependency; clones share all its state.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use stanchion_resilience::{policy::{EveryError, Policy, PolicySettings}, retry::Terms};
///
/// let bank = Policy::new("bank", &PolicySettings::default());
/// let answer = bank
///     .call(Terms::read(), &EveryError, |attempt| async move {
///         // Send it, with attempt.number and attempt.left in headers.
///         assert!(attempt.number == 1 && !attempt.left.is_zero());
///         Ok::<_, std::io::Error>(42)
///     })
///     .await;
/// assert_eq!(answer.unwrap(), 42);
/// assert!(bank.to_string().starts_with("bank: deadline 30s"));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Policy {
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    name: String,
    settings: PolicySettings,
    retry: Option<Retry>,
    hedge: Option<Hedge>,
    breaker: Option<Breaker>,
    throttle: Option<Throttle>,
    rate: Option<Rate>,
    bulkhead: Option<Bulkhead>,
    adaptive: Option<Adaptive>,
    hop: HopCost,
    metrics: PolicyMetrics,
}

/// Why a call through a policy gave no answer: what its last attempt gave, and why there was no other.
pub type PolicyError<E> = GaveUp<Failure<E>>;

/// What an attempt is told, to pass on in headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Its number, from 1; a hedge has the number of the attempt it belongs to.
    pub number: u32,
    /// What it may take over there: the smaller of the timeout and what is left of the deadline, the way's
    /// [cost](Policy::hop_cost) subtracted.
    pub left: Duration,
}

/// What answers and errors of a dependency mean.
pub trait Judge<T, E>: Send + Sync {
    /// What an outcome says about the dependency's health. A timeout is a failure and not asked about.
    fn verdict(&self, result: &Result<T, E>) -> Verdict;

    /// Whether the call can be sent again after this error. A timeout is an unknown outcome and not asked about.
    fn retryable(&self, error: &E) -> Retryable;
}

/// Every error is a failure of unknown outcome.
#[derive(Debug, Clone, Copy, Default)]
pub struct EveryError;

impl<T, E> Judge<T, E> for EveryError {
    fn verdict(&self, result: &Result<T, E>) -> Verdict {
        Verdict::of(result)
    }

    fn retryable(&self, _: &E) -> Retryable {
        Retryable::unknown()
    }
}

impl Policy {
    /// The policy of the dependency `name`, with metrics that nobody sees.
    #[must_use]
    pub fn new(name: impl Into<String>, settings: &PolicySettings) -> Self {
        Policy::with(name, settings, &Metrics::default(), &Dice::system())
    }

    /// The same, measured and with given chance.
    ///
    /// The name becomes a label, so it comes from the program or its configuration, never from a request.
    #[must_use]
    pub fn with(
        name: impl Into<String>,
        settings: &PolicySettings,
        metrics: &Metrics,
        dice: &Dice,
    ) -> Self {
        Policy::builder(name, settings)
            .metrics(metrics)
            .dice(dice)
            .build()
    }

    /// The same with a predicate or a listener of the breaker, too.
    #[must_use]
    pub fn builder(name: impl Into<String>, settings: &PolicySettings) -> PolicyBuilder {
        PolicyBuilder::new(name.into(), settings)
    }

    /// The dependency's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &PolicySettings {
        &self.parts.settings
    }

    /// Its breaker, unless switched off.
    #[must_use]
    pub fn breaker(&self) -> Option<&Breaker> {
        self.parts.breaker.as_ref()
    }

    /// Whether a call that gave no answer within `span` speaks against the dependency: a span below what counts as slow
    /// speaks of an impatient caller.
    #[must_use]
    pub fn is_slow(&self, span: Duration) -> bool {
        self.parts.is_slow(span)
    }

    /// Its retry, with the budget, unless switched off.
    #[must_use]
    pub fn retry(&self) -> Option<&Retry> {
        self.parts.retry.as_ref()
    }

    /// Its hedge, unless switched off.
    #[must_use]
    pub fn hedge(&self) -> Option<&Hedge> {
        self.parts.hedge.as_ref()
    }

    /// Its bulkhead, unless switched off.
    #[must_use]
    pub fn bulkhead(&self) -> Option<&Bulkhead> {
        self.parts.bulkhead.as_ref()
    }

    /// Its adaptive limit, if switched on.
    #[must_use]
    pub fn adaptive(&self) -> Option<&Adaptive> {
        self.parts.adaptive.as_ref()
    }

    /// Its rate limit, if switched on.
    #[must_use]
    pub fn rate(&self) -> Option<&Rate> {
        self.parts.rate.as_ref()
    }

    /// Its throttle, if switched on.
    #[must_use]
    pub fn throttle(&self) -> Option<&Throttle> {
        self.parts.throttle.as_ref()
    }

    /// What the way to the dependency and back costs: whoever hears from it how long it worked lets this learn it, and
    /// the calls to come are told so much less time. Zero until then.
    #[must_use]
    pub fn hop_cost(&self) -> &HopCost {
        &self.parts.hop
    }

    /// A tower layer over this very policy; `rule` knows requests, answers and errors.
    pub fn layer<Rule>(&self, rule: Rule) -> PolicyLayer<Rule> {
        PolicyLayer::new(self.clone(), rule)
    }

    /// Writes the present state of its parts into the gauges; call it before metrics are read.
    pub fn observe(&self) {
        self.parts.metrics.observe(&self.parts);
    }
}
