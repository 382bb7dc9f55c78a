//! What is measured, all under the one label `dependency`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use stanchion_telemetry::Metrics;

use super::{Parts, PolicyError};
use crate::breaker::{Change, State};
use crate::{Failure, Moment, Refusal};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    dependency: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    dependency: String,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dependency {
    dependency: String,
}

/// Every outcome a call can have; their counters are looked up once.
const OUTCOMES: [&str; 11] = [
    "ok",
    "remote",
    "timed_out",
    "breaker_open",
    "bulkhead_full",
    "overloaded",
    "rate_limited",
    "throttled",
    "no_time_left",
    "closed",
    "ejected",
];

#[derive(Debug)]
pub(super) struct PolicyMetrics {
    calls: [Counter; OUTCOMES.len()],
    first: Counter,
    retries: Counter,
    hedges: Counter,
    breaker: Gauge,
    running: Gauge,
    waiting: Gauge,
    waiting_max: Gauge,
    limit: Gauge,
    budget: Gauge,
    hedge_budget: Gauge,
}

impl PolicyMetrics {
    pub(super) fn new(metrics: &Metrics, name: &str) -> Self {
        let dependency = || name.to_owned();
        let calls = metrics.counter_family(
            "policy_calls_total",
            "Calls to a dependency, by what came of them.",
        );
        let tries = metrics.counter_family(
            "policy_tries_total",
            "What was sent or refused on the way, by why.",
        );
        let tries = |kind| {
            let dependency = dependency();
            tries.get_or_create(&Kind { dependency, kind }).clone()
        };
        let gauge = |name: &str, help: &str| {
            let dependency = dependency();
            metrics
                .gauge_family(name, help)
                .get_or_create(&Dependency { dependency })
                .clone()
        };
        PolicyMetrics {
            calls: OUTCOMES.map(|outcome| {
                let dependency = dependency();
                calls
                    .get_or_create(&Outcome {
                        dependency,
                        outcome,
                    })
                    .clone()
            }),
            first: tries("first"),
            retries: tries("retry"),
            hedges: tries("hedge"),
            breaker: gauge(
                "policy_breaker_state",
                "0 closed, 1 open, 2 half-open, 3 forced open, 4 forced closed.",
            ),
            running: gauge(
                "policy_running",
                "Calls in a slot of the bulkhead or under the adaptive limit.",
            ),
            waiting: gauge("policy_waiting", "Calls that wait for one."),
            waiting_max: gauge("policy_waiting_max", "Calls that may wait for one."),
            limit: gauge(
                "policy_limit",
                "The adaptive limit, or else the slots of the bulkhead.",
            ),
            budget: gauge("policy_retry_budget", "Retries the budget would pay for."),
            hedge_budget: gauge(
                "policy_hedge_budget",
                "Second tries beside slow ones that their share would pay for.",
            ),
        }
    }

    pub(super) fn breaker_listener(&self) -> impl Fn(&Change) + Send + Sync + 'static {
        let gauge = self.breaker.clone();
        move |change| {
            gauge.set(number(change.to));
        }
    }

    pub(super) fn ended<T, E>(&self, result: &Result<T, PolicyError<E>>) {
        self.calls[outcome(result)].inc();
    }

    pub(super) fn tried(&self, attempt: u32, which: u32) {
        match (attempt, which) {
            (1, 1) => self.first.inc(),
            (_, 1) => self.retries.inc(),
            _ => self.hedges.inc(),
        };
    }

    pub(super) fn observe(&self, parts: &Parts) {
        let (mut running, mut waiting, mut waiting_max, mut limit) = (0, 0, 0, 0);
        if let Some(bulkhead) = &parts.bulkhead {
            running = i64::from(bulkhead.running());
            waiting = i64::from(bulkhead.waiting());
            waiting_max = i64::from(parts.settings.bulkhead.queue);
            limit = i64::from(parts.settings.bulkhead.slots);
        }
        if let Some(adaptive) = &parts.adaptive {
            running = running.max(i64::from(adaptive.running()));
            waiting += i64::try_from(adaptive.waiting()).unwrap_or(i64::MAX);
            limit = i64::from(adaptive.limit());
            // As many may wait as may run.
            waiting_max += limit;
        }
        self.running.set(running);
        self.waiting.set(waiting);
        self.waiting_max.set(waiting_max);
        self.limit.set(limit);
        if let Some(breaker) = &parts.breaker {
            self.breaker.set(number(breaker.state()));
        }
        if let Some(retry) = &parts.retry {
            self.budget.set(retry.budget().left(Moment::now()) as i64);
        }
        if let Some(hedge) = &parts.hedge {
            self.hedge_budget.set(hedge.left(Moment::now()) as i64);
        }
    }
}

/// The place in [`OUTCOMES`].
fn outcome<T, E>(result: &Result<T, PolicyError<E>>) -> usize {
    let Err(gave_up) = result else {
        return 0;
    };
    match &gave_up.last {
        Failure::Remote(_) => 1,
        Failure::TimedOut(_) => 2,
        Failure::Refused(refusal) => match refusal {
            Refusal::BreakerOpen { .. } => 3,
            Refusal::BulkheadFull => 4,
            Refusal::Overloaded => 5,
            Refusal::RateLimited { .. } => 6,
            Refusal::Throttled => 7,
            Refusal::NoTimeLeft => 8,
            Refusal::Closed => 9,
            Refusal::Ejected { .. } => 10,
        },
    }
}

fn number(state: State) -> i64 {
    match state {
        State::Closed => 0,
        State::Open => 1,
        State::HalfOpen => 2,
        State::ForcedOpen => 3,
        State::ForcedClosed => 4,
    }
}
