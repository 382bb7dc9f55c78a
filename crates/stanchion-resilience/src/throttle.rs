//! Client throttle: spares a dependency that refuses most calls the rest of them.
//!
//! The formula of *Site Reliability Engineering*, chapter 21: with the `requests` the caller wanted and the
//! `accepts` the dependency gave in the last half minute, a call is refused here with probability
//! `max(0, (requests - K · accepts) / (requests + 1))`. With K = 2 it sends at most about twice what is accepted. No
//! states, hence no thundering re-open; from 200 refused calls a second it is back in about two minutes (with the
//! book's window of two minutes it would take seven); where a dependency is sick rather than overloaded, take a
//! [breaker](crate::breaker).

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::breaker::Verdict;
use crate::guard::{Guard, GuardLayer};
use crate::{Dice, Failure, Moment, Refusal};

stanchion_config::settings! {
    /// When a client stops asking a dependency that refuses.
    pub struct ThrottleSettings {
        /// How many calls it sends for each that is accepted.
        #[range(1.0..=100.0)]
        pub times: f64 = 2.0,
        /// How far it looks back; longer than the longest call.
        #[range("1s"..="1h")]
        pub window: Duration = "30s",
        /// It sends one call at least so often, so that it notices a recovery.
        #[range("10ms"..="1m")]
        pub probe_every: Duration = "1s",
    }
}

const BUCKETS: usize = 24;

/// A throttle; clones share it.
#[derive(Debug, Clone)]
pub struct Throttle {
    state: Arc<Mutex<State>>,
    settings: Arc<ThrottleSettings>,
    dice: Dice,
}

#[derive(Debug)]
struct State {
    buckets: [Bucket; BUCKETS],
    /// The number of the bucket in use, counted from the beginning.
    newest: u64,
    born: Moment,
    sent: Moment,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    requests: u64,
    accepts: u64,
}

impl Throttle {
    /// A throttle that has seen nothing.
    #[must_use]
    pub fn new(settings: &ThrottleSettings) -> Self {
        Throttle::with(settings, Dice::system(), Moment::now())
    }

    /// The same with given chance, begun at `now`.
    #[must_use]
    pub fn with(settings: &ThrottleSettings, dice: Dice, now: Moment) -> Self {
        let state = State {
            buckets: [Bucket::default(); BUCKETS],
            newest: 0,
            born: now,
            sent: now,
        };
        Throttle {
            state: Arc::new(Mutex::new(state)),
            settings: Arc::new(settings.clone()),
            dice,
        }
    }

    /// The core: counts a request, and says whether to send it. Counted before it is sent: counted afterwards, calls
    /// that hang would never be.
    ///
    /// # Errors
    /// [`Refusal::Throttled`].
    pub fn admit(&self, now: Moment) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        state.turn(now, self.settings.window);
        let refuse = state.refuse_share(self.settings.times);
        state.current().requests += 1;
        let is_due = now.since(state.sent) >= self.settings.probe_every;
        if refuse > 0.0 && !is_due && self.dice.share() < refuse {
            return Err(Refusal::Throttled);
        }
        state.sent = now;
        Ok(())
    }

    /// The core: the dependency took a call and worked on it.
    pub fn accepted(&self, now: Moment) {
        let mut state = self.state.lock();
        state.turn(now, self.settings.window);
        state.current().accepts += 1;
    }

    /// The share of calls refused here at present.
    #[must_use]
    pub fn refused_share(&self, now: Moment) -> f64 {
        let mut state = self.state.lock();
        state.turn(now, self.settings.window);
        state.refuse_share(self.settings.times)
    }

    /// Runs `call` unless it is spared; every error counts as not accepted.
    ///
    /// # Errors
    /// [`Refusal::Throttled`], else what `call` gave.
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        self.call_judged(call, Verdict::of).await
    }

    /// The same, with `judge` telling what was accepted: what it calls a success. A 429 is none.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_judged<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        judge: impl FnOnce(&Result<T, E>) -> Verdict,
    ) -> Result<T, Failure<E>> {
        self.admit(Moment::now())?;
        let result = call.await;
        if judge(&result) == Verdict::Success {
            self.accepted(Moment::now());
        }
        result.map_err(Failure::Remote)
    }

    /// A tower layer over this very throttle.
    #[must_use]
    pub fn layer(&self) -> GuardLayer<Self> {
        GuardLayer(self.clone())
    }
}

impl State {
    /// Empties the buckets that are too old at `now`.
    fn turn(&mut self, now: Moment, window: Duration) {
        let width = (window / BUCKETS as u32).as_nanos().max(1);
        let number = u64::try_from(now.since(self.born).as_nanos() / width).unwrap_or(u64::MAX);
        let passed = number.saturating_sub(self.newest).min(BUCKETS as u64);
        for step in 1..=passed {
            // From the newest on, so that a long pause empties each of them once.
            let stale = (number - passed + step) as usize % BUCKETS;
            self.buckets[stale] = Bucket::default();
        }
        self.newest = self.newest.max(number);
    }

    fn current(&mut self) -> &mut Bucket {
        &mut self.buckets[self.newest as usize % BUCKETS]
    }

    fn refuse_share(&self, times: f64) -> f64 {
        let sum = |of: fn(&Bucket) -> u64| self.buckets.iter().map(of).sum::<u64>() as f64;
        let (requests, accepts) = (sum(|bucket| bucket.requests), sum(|bucket| bucket.accepts));
        ((requests - times * accepts) / (requests + 1.0)).max(0.0)
    }
}

impl Guard for Throttle {
    async fn guard<T: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Failure<E>> {
        self.call(call).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls a second apart by `gap` for `span`; the dependency takes at most `capacity` a second.
    fn run(throttle: &Throttle, now: &mut Moment, capacity: u32, span: Duration) -> (u32, u32) {
        let end = *now + span;
        let (mut sent, mut accepted, mut second, mut left) = (0, 0, *now, capacity);
        while *now < end {
            if now.since(second) >= Duration::from_secs(1) {
                (second, left) = (*now, capacity);
            }
            if throttle.admit(*now).is_ok() {
                sent += 1;
                if left > 0 {
                    left -= 1;
                    accepted += 1;
                    throttle.accepted(*now);
                }
            }
            *now = *now + Duration::from_millis(5);
        }
        (sent, accepted)
    }

    fn given(seed: u64) -> (Throttle, Moment) {
        let now = Moment::from_nanos(1_000_000_000);
        (
            Throttle::with(&ThrottleSettings::default(), Dice::seeded(seed), now),
            now,
        )
    }

    #[test]
    fn a_healthy_dependency_is_never_spared() {
        let (throttle, mut now) = given(1);
        assert_eq!(
            run(&throttle, &mut now, 200, Duration::from_secs(600)),
            (120_000, 120_000)
        );
    }

    #[test]
    fn an_overloaded_one_is_sent_about_twice_what_it_accepts() {
        let (throttle, mut now) = given(2);
        run(&throttle, &mut now, 20, Duration::from_secs(240));
        let (sent, accepted) = run(&throttle, &mut now, 20, Duration::from_secs(240));
        let times = f64::from(sent) / f64::from(accepted);
        assert!(
            (1.5..=2.2).contains(&times),
            "sent {times} times what was accepted"
        );
    }

    #[test]
    fn a_dead_one_is_probed_once_a_second_and_found_again() {
        let (throttle, mut now) = given(3);
        run(&throttle, &mut now, 0, Duration::from_secs(240));
        let (sent, _) = run(&throttle, &mut now, 0, Duration::from_secs(100));
        assert!((95..=115).contains(&sent), "{sent} probes in 100 s");
        run(&throttle, &mut now, 200, Duration::from_secs(240));
        assert!(throttle.refused_share(now) < 0.01);
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let all = |seed| {
            let (throttle, mut now) = given(seed);
            run(&throttle, &mut now, 20, Duration::from_secs(60))
        };
        assert_eq!(all(7), all(7));
    }
}
