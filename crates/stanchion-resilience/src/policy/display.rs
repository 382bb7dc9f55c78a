//! A policy as one line a part, in the order of a call's way.

use std::fmt;

use super::Policy;

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, settings) = (&self.parts, &self.parts.settings);
        write!(f, "{}: deadline {:?}", parts.name, settings.deadline)?;
        if parts.retry.is_some() {
            let (retry, budget) = (&settings.retry, &settings.retry.budget);
            let share = budget.share * 100.0;
            write!(f, "\n  retry: {} attempts, ", retry.attempts)?;
            write!(
                f,
                "wait up to {:?} doubling to {:?}, ",
                retry.base, retry.cap
            )?;
            write!(f, "budget {share} % + {}/s", budget.per_second)?;
        }
        if parts.hedge.is_some() {
            let (after, share) = (
                settings.hedge.percentile * 100.0,
                settings.hedge.share * 100.0,
            );
            write!(f, "\n  hedge: reads, after p{after}, at most {share} %")?;
        }
        if let Some(breaker) = &parts.breaker {
            let breaks = &settings.breaker;
            let (failed, slow) = (breaks.failure_rate * 100.0, breaks.slow_rate * 100.0);
            write!(
                f,
                "\n  breaker: {}, opens for {:?} ",
                breaker.state(),
                breaks.open
            )?;
            write!(
                f,
                "at {failed} % failed or {slow} % slow (over {:?}) ",
                breaker.slow_above()
            )?;
            write!(
                f,
                "of the last {} calls in {:?}",
                breaks.window_calls, breaks.window_age
            )?;
        }
        if parts.throttle.is_some() {
            write!(
                f,
                "\n  throttle: at most {} calls for each accepted",
                settings.throttle.times
            )?;
        }
        if parts.rate.is_some() {
            let rate = &settings.rate;
            write!(f, "\n  rate: {}/s, burst {}", rate.per_second, rate.burst)?;
        }
        if parts.bulkhead.is_some() {
            let bulkhead = &settings.bulkhead;
            write!(f, "\n  bulkhead: {} slots, ", bulkhead.slots)?;
            write!(f, "{} wait up to {:?}", bulkhead.queue, bulkhead.wait)?;
        }
        if let Some(adaptive) = &parts.adaptive {
            let bounds = &settings.adaptive;
            write!(
                f,
                "\n  adaptive limit: {} now, from {} to {}",
                adaptive.limit(),
                bounds.min,
                bounds.max
            )?;
        }
        write!(f, "\n  timeout: {:?} an attempt", settings.timeout)
    }
}
