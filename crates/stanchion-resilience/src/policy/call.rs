//! The way of a call through the parts.

use std::time::Duration;

use super::{Attempt, Judge, Parts, Policy, PolicyError};
use crate::adaptive::Place;
use crate::breaker::{Breaker, Permit, Verdict};
use crate::deadline::Deadline;
use crate::retry::{Effect, GaveUp, Retryable, Stopped, Terms};
use crate::throttle::Admitted;
use crate::{Failure, Moment, Refusal};

/// A dependency that is told a deadline answers so long before our own timer at most.
const ANSWERED_BEFORE: Duration = Duration::from_millis(5);

impl Policy {
    /// Calls the dependency, as often as the policy and `terms` allow.
    ///
    /// `call` makes one try; it is dropped when its time is over, and the tries of a hedge run beside each other.
    ///
    /// # Errors
    /// What the last attempt gave, how many there were, and why there was no other.
    pub async fn call<T, E, F>(
        &self,
        terms: Terms,
        judge: &impl Judge<T, E>,
        call: impl Fn(Attempt) -> F,
    ) -> Result<T, PolicyError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let (parts, begun) = (&*self.parts, Moment::now());
        let terms = parts.bounded(terms, begun);
        let attempt = |number| {
            // The clock is a good part of what a policy costs: the first attempt begins when the call does.
            let now = if number == 1 { begun } else { Moment::now() };
            parts.attempt(number, now, &terms, judge, &call)
        };
        let result = match &parts.retry {
            Some(retry) => {
                let classify = |failure: &Failure<E>| classified(failure, judge);
                retry
                    .call_refusable(terms, classify, Failure::refusal, attempt)
                    .await
            }
            None => attempt(1).await.map_err(only_one),
        };
        parts.metrics.ended(&result);
        result
    }
}

/// Refusals are final: what refused now refuses in 50 ms, and a queue of retries is what it protects from.
fn classified<T, E>(failure: &Failure<E>, judge: &impl Judge<T, E>) -> Retryable {
    match failure {
        Failure::Refused(_) => Retryable::Never,
        Failure::TimedOut(_) => Retryable::unknown(),
        Failure::Remote(error) => judge.retryable(error),
    }
}

/// Of two tries' errors that of one which was sent: a try that was not says nothing of the other.
fn sent_one<E>(earlier: Failure<E>, later: Failure<E>) -> Failure<E> {
    match later {
        Failure::Refused(_) => earlier,
        _ => later,
    }
}

fn only_one<E>(last: Failure<E>) -> PolicyError<E> {
    GaveUp {
        last,
        attempts: 1,
        stopped: Stopped::Attempts,
    }
}

impl Parts {
    fn bounded(&self, terms: Terms, now: Moment) -> Terms {
        let own = Deadline::after(now, self.settings.deadline);
        terms.until(terms.deadline.earlier(own))
    }

    /// One attempt, which for a read may be two tries.
    async fn attempt<T, E, F>(
        &self,
        number: u32,
        now: Moment,
        terms: &Terms,
        judge: &impl Judge<T, E>,
        call: &impl Fn(Attempt) -> F,
    ) -> Result<T, Failure<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        match &self.hedge {
            Some(hedge) if terms.effect == Effect::Read => {
                let one_try = |which| {
                    self.metrics.tried(number, which);
                    let now = if which == 1 { now } else { Moment::now() };
                    self.one_try(number, now, terms, judge, call)
                };
                hedge.call_at(now, one_try, sent_one).await
            }
            _ => {
                self.metrics.tried(number, 1);
                self.one_try(number, now, terms, judge, call).await
            }
        }
    }

    /// One try, through everything that can refuse it.
    async fn one_try<T, E, F>(
        &self,
        number: u32,
        mut now: Moment,
        terms: &Terms,
        judge: &impl Judge<T, E>,
        call: &impl Fn(Attempt) -> F,
    ) -> Result<T, Failure<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let deadline = terms.deadline;
        let hop = self.hop.estimate();
        deadline.for_hop(now, hop)?;
        if let Some(breaker) = &self.breaker {
            breaker.peek(now)?;
        }
        let mut admitted = None;
        if let Some(throttle) = &self.throttle {
            admitted = Some(throttle.enter(now)?);
        }
        if let Some(rate) = &self.rate {
            rate.check(now, 1)?;
        }
        let mut slot = None;
        if let Some(bulkhead) = &self.bulkhead {
            if !bulkhead.is_open_to(terms.priority) {
                return Err(Refusal::BulkheadFull.into());
            }
            slot = bulkhead.try_enter_here();
            if slot.is_none() {
                slot = Some(bulkhead.enter_here(deadline).await?);
                now = Moment::now();
            }
        }
        let mut place = None;
        if let Some(adaptive) = &self.adaptive {
            place = Some(adaptive.enter(terms.priority, deadline).await?);
            now = Moment::now();
        }
        let permit = match &self.breaker {
            Some(breaker) => Some(breaker.acquire_at(now)?),
            None => None,
        };
        let left = deadline.for_hop(now, hop)?;
        let attempt = Attempt {
            number,
            left: left.min(self.settings.timeout),
        };
        let span = deadline.left(now).min(self.settings.timeout);
        let outcome = tokio::time::timeout_at((now + span).instant(), call(attempt)).await;
        let verdict = match &outcome {
            Ok(result) => match judge.verdict(result) {
                // It was told how long it has, and gave up in time: that speaks of its caller as well.
                Verdict::Failure if took_all(now, span) && !self.is_slow(span) => None,
                verdict => Some(verdict),
            },
            Err(_elapsed) => self.is_slow(span).then_some(Verdict::Failure),
        };
        ended(Moment::now(), verdict, permit, place, admitted);
        drop(slot);
        match outcome {
            Ok(result) => result.map_err(Failure::Remote),
            Err(_elapsed) => Err(Failure::TimedOut(span)),
        }
    }

    /// Whether a call that gave no answer in `span` speaks against the dependency. A deadline nearer than what counts
    /// as slow speaks of the caller: one impatient caller must not open the breaker for all.
    pub(super) fn is_slow(&self, span: Duration) -> bool {
        let usual = self.breaker.as_ref().map(Breaker::slow_above);
        span >= self.settings.timeout || usual.is_none_or(|usual| span >= usual)
    }
}

/// Whether nothing is left of the time that a call had since `begun`, or as good as nothing.
fn took_all(begun: Moment, span: Duration) -> bool {
    Moment::now().since(begun) + ANSWERED_BEFORE >= span
}

/// Tells every part that wants to know; with no verdict the call says nothing, as if its caller had gone.
fn ended(
    now: Moment,
    verdict: Option<Verdict>,
    permit: Option<Permit<'_>>,
    place: Option<Place>,
    admitted: Option<Admitted<'_>>,
) {
    if let Some(permit) = permit {
        permit.settle_at(now, verdict.unwrap_or(Verdict::Ignored));
    }
    // Dropped they are free, and nothing was measured.
    if let (Some(place), Some(_)) = (place, verdict) {
        place.finish_at(now);
    }
    if let (Some(admitted), Some(verdict)) = (admitted, verdict) {
        admitted.settle(now, verdict);
    }
}
