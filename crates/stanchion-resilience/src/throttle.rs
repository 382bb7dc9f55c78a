//! Client throttle: spares a dependency that refuses most calls the rest of them.
//!
//! The formula of *Site Reliability Engineering*, chapter 21: with the `requests` the caller wanted and the
//! `accepts` the dependency gave in the last half minute, a call is refused here with probability
//! `max(0, (requests - K · accepts) / (requests + 1))`, where some calls under way are left out. With K = 2 it sends at most about twice what is accepted. No
//! states, hence no thundering re-open; from 200 refused calls a second it is back in about two minutes (with the
//! book's window of two minutes it would take seven); where a dependency is sick rather than overloaded, take a
//! [breaker](crate::breaker).

#[cfg(test)]
mod tests;

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
/// So many calls under way speak neither for the dependency nor against it: at the start, when ten come at once, none
/// of them has been accepted yet. Beyond that they count as refused, or a dependency that hangs would be sent all.
const UNANSWERED_MAX: u64 = 25;

/// A throttle; clones share it.
#[derive(Debug, Clone)]
pub struct Throttle {
    state: Arc<Mutex<State>>,
    settings: Arc<ThrottleSettings>,
    dice: Dice,
}

/// A request that was let out and has not ended.
#[derive(Debug)]
pub(crate) struct Admitted<'t> {
    throttle: &'t Throttle,
}

#[derive(Debug)]
struct State {
    buckets: [Bucket; BUCKETS],
    /// The number of the bucket in use, counted from the beginning.
    newest: u64,
    born: Moment,
    sent: Moment,
    /// Calls let out that have not ended.
    under_way: u64,
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
            under_way: 0,
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
        state.under_way += 1;
        Ok(())
    }

    /// The core: the dependency took a call and worked on it.
    pub fn accepted(&self, now: Moment) {
        let mut state = self.state.lock();
        state.turn(now, self.settings.window);
        state.under_way = state.under_way.saturating_sub(1);
        state.current().accepts += 1;
    }

    /// The core: the dependency refused a call, or gave no answer.
    pub fn not_accepted(&self) {
        let mut state = self.state.lock();
        state.under_way = state.under_way.saturating_sub(1);
    }

    /// The core: an admitted request came to nothing that speaks of the dependency: its caller went away, or something
    /// else refused it on the way. It is as if it had never been asked for.
    pub fn forgotten(&self, now: Moment) {
        let mut state = self.state.lock();
        state.turn(now, self.settings.window);
        state.under_way = state.under_way.saturating_sub(1);
        state.forget();
    }

    /// The same with a guard: dropped unsettled, the request is forgotten.
    pub(crate) fn enter(&self, now: Moment) -> Result<Admitted<'_>, Refusal> {
        self.admit(now)?;
        Ok(Admitted { throttle: self })
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
        let admitted = self.enter(Moment::now())?;
        let result = call.await;
        admitted.settle(Moment::now(), judge(&result));
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

    /// Takes one request that was not accepted out again, of the youngest there is.
    fn forget(&mut self) {
        for age in 0..BUCKETS as u64 {
            let place = (self.newest + BUCKETS as u64 - age) as usize % BUCKETS;
            let bucket = &mut self.buckets[place];
            if bucket.requests > bucket.accepts {
                bucket.requests -= 1;
                return;
            }
        }
    }

    fn refuse_share(&self, times: f64) -> f64 {
        let sum = |of: fn(&Bucket) -> u64| self.buckets.iter().map(of).sum::<u64>() as f64;
        let (requests, accepts) = (sum(|bucket| bucket.requests), sum(|bucket| bucket.accepts));
        let unanswered = self.under_way.min(UNANSWERED_MAX) as f64;
        ((requests - unanswered - times * accepts) / (requests + 1.0)).max(0.0)
    }
}

impl Admitted<'_> {
    /// What came of it: a success was accepted, all else was not.
    pub(crate) fn settle(self, now: Moment, verdict: Verdict) {
        if verdict == Verdict::Success {
            self.throttle.accepted(now);
        } else {
            self.throttle.not_accepted();
        }
        // Settled; there is nothing to forget.
        std::mem::forget(self);
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.throttle.not_accepted();
        } else {
            self.throttle.forgotten(Moment::now());
        }
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
