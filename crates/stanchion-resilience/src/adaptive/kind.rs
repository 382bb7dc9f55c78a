//! Kinds of calls under one limit: each is compared with its own usual time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::moment::nanos;

/// What a call that is as fast as its kind usually is counts as.
pub(super) const REFERENCE: Duration = Duration::from_secs(1);

/// So much of every call's time is nobody's queue: a scheduler's turn, a neighbour's. Without it a call of 0.1 ms
/// that took 1 ms would look like ten times the load.
const SLACK: f64 = 1_000_000.0;

/// A kind's time is a moving average over so many quiet calls; a longer memory would keep the times of a cold start.
const QUIET_CALLS: u32 = 16;

/// An odd call counts as at most so many usual ones.
const ODD_TIMES: f64 = 4.0;

/// One kind of calls under a limit of several, such as a route; clones learn together.
///
/// A server that answers some calls in one millisecond and others in fifty cannot tell a queue from a change of the
/// mix by their times. So each call is compared with what one of its kind takes while hardly anything else runs, and
/// the limit is moved by how many times slower calls are than that. Until a kind was seen in a quiet moment, its first
/// calls stand in for one.
///
/// Bounded by whoever makes them: one for each route of the program, never one for each path of a request.
#[derive(Debug, Clone, Default)]
pub struct Kind {
    learned: Arc<Mutex<Learned>>,
}

#[derive(Debug, Default)]
struct Learned {
    /// Mean nanoseconds.
    nanos: f64,
    calls: u32,
    is_quiet: bool,
}

impl Kind {
    /// What such a call takes unloaded, as far as that is known; none before the first.
    #[must_use]
    pub fn unloaded(&self) -> Option<Duration> {
        let learned = self.learned.lock();
        (learned.calls > 0).then(|| Duration::from_nanos(learned.nanos as u64))
    }

    /// Learns from a call, and says how long it would have taken were its usual time [`REFERENCE`].
    pub(super) fn compare(&self, took: Duration, is_quiet: bool) -> Duration {
        let mut learned = self.learned.lock();
        let took = nanos(took) as f64;
        learned.learn(took, is_quiet);
        REFERENCE.mul_f64((took + SLACK) / (learned.nanos + SLACK))
    }
}

impl Learned {
    fn learn(&mut self, took: f64, is_quiet: bool) {
        if is_quiet && !self.is_quiet {
            *self = Learned {
                nanos: took,
                calls: 1,
                is_quiet,
            };
            return;
        }
        // Under load the time is not learned, or it would drift up with the queue that it should show.
        if !is_quiet && (self.is_quiet || self.calls >= QUIET_CALLS) {
            return;
        }
        let took = if self.calls >= QUIET_CALLS {
            took.min(self.nanos * ODD_TIMES)
        } else {
            took
        };
        self.calls = (self.calls + 1).min(QUIET_CALLS);
        self.nanos += (took - self.nanos) / f64::from(self.calls);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn cheap_and_expensive_calls_are_alike_when_each_takes_its_usual_time() {
        for usual in [2, 50, 3_000] {
            let kind = Kind::default();
            for _ in 0..20 {
                kind.compare(MS * usual, true);
            }
            assert_eq!(kind.unloaded(), Some(MS * usual));
            assert_eq!(kind.compare(MS * usual, false), REFERENCE);
            let slower = kind.compare(MS * (2 * usual + 1), false);
            assert_eq!(
                slower,
                REFERENCE * 2,
                "twice as slow is twice, whatever the kind"
            );
        }
    }

    #[test]
    fn what_is_learned_in_quiet_does_not_drift_under_load() {
        let kind = Kind::default();
        kind.compare(MS * 20, true);
        for _ in 0..1_000 {
            kind.compare(MS * 500, false);
        }
        assert_eq!(kind.unloaded(), Some(MS * 20));
    }

    #[test]
    fn the_first_calls_stand_in_until_a_quiet_one() {
        let kind = Kind::default();
        for _ in 0..100 {
            kind.compare(MS * 40, false);
        }
        assert_eq!(kind.unloaded(), Some(MS * 40));
        kind.compare(MS * 20, true);
        assert_eq!(kind.unloaded(), Some(MS * 20));
    }

    #[test]
    fn a_cold_start_is_forgotten_and_an_odd_call_hardly_noticed() {
        let kind = Kind::default();
        kind.compare(MS * 400, true);
        for _ in 0..100 {
            kind.compare(MS * 20, true);
        }
        let usual = kind.unloaded().unwrap();
        assert!(usual < MS * 22, "{usual:?}");
        kind.compare(MS * 60_000, true);
        assert!(kind.unloaded().unwrap() < MS * 26);
    }
}
