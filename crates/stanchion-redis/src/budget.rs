//! How long anything here waits for Redis, and when it does not wait at all.

use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use redis::RedisResult;
use stanchion_resilience::Moment;
use stanchion_resilience::breaker::{Breaker, BreakerSettings, Change, State, Verdict};
use tokio::time::timeout;

/// A budget for each call, and the breaker that spares the next ones the wait.
#[derive(Debug)]
pub(crate) struct Budget {
    breaker: Breaker,
    each: Duration,
}

/// Redis did not answer, in time or at all.
#[derive(Debug)]
pub(crate) struct Out;

impl Budget {
    pub(crate) fn new(breaker: Breaker, each: Duration) -> Self {
        Budget { breaker, each }
    }

    pub(crate) fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// What Redis says within the budget. What is given up may have been done all the same.
    pub(crate) async fn spend<T>(
        &self,
        call: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, Out> {
        let permit = self.breaker.acquire().map_err(|_open| Out)?;
        let answer = timeout(self.each, call).await;
        let now = Moment::now();
        match answer {
            Ok(Ok(answer)) => {
                permit.settle_at(now, Verdict::Success);
                Ok(answer)
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "redis refused a call");
                permit.settle_at(now, Verdict::Failure);
                Err(Out)
            }
            Err(_elapsed) => {
                permit.settle_at(now, Verdict::Failure);
                Err(Out)
            }
        }
    }
}

/// No call is slow but one that has used up the budget, and that has failed already.
pub(crate) fn breaker_settings(breaker: &BreakerSettings, budget: Duration) -> BreakerSettings {
    BreakerSettings {
        slow_above: budget,
        slow_times: 0.0,
        ..breaker.clone()
    }
}

/// Writes the breaker's state into a gauge.
pub(crate) fn breaker_listener(gauge: Gauge) -> impl Fn(&Change) + Send + Sync + 'static {
    move |change| {
        gauge.set(match change.to {
            State::Closed => 0,
            State::Open => 1,
            State::HalfOpen => 2,
            State::ForcedOpen => 3,
            State::ForcedClosed => 4,
        });
    }
}
