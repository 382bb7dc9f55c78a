//! Hedge: a second try beside a slow first one; who answers first wins, the other is cancelled.
//!
//! Sent when the first try has taken longer than the live 95th percentile, for at most 5 % of the calls (Dean and
//! Barroso, *The Tail at Scale*, CACM 2013: p99.9 from 1,800 to 74 ms for 2 % more requests). For safe reads only.

mod latency;
mod layer;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep_until;

pub use layer::{HedgeLayer, Hedging};

use crate::Moment;
use crate::budget::{Budget, BudgetSettings};
use latency::Latency;

stanchion_config::settings! {
    /// When a slow call gets a second try beside it.
    pub struct HedgeSettings {
        /// The share of calls that are answered before a second try is sent.
        #[range(0.5..=0.999)]
        pub percentile: f64 = 0.95,
        /// The load that second tries may add.
        #[range(0.0..=1.0)]
        pub share: f64 = 0.05,
        /// With fewer calls known there is none.
        #[range(1..=128)]
        pub calls_min: u32 = 20,
        /// None is sent earlier.
        #[range("0"..="1m")]
        pub wait_min: Duration = "1ms",
    }
}

/// A hedge; clones share latencies and budget.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use std::time::Duration;
/// use stanchion_resilience::hedge::{Hedge, HedgeSettings};
/// use tokio::time::sleep;
///
/// let hedge = Hedge::new(&HedgeSettings::default());
/// for call in 0..100 {
///     let answer = hedge.call(|_try| async move {
///         sleep(Duration::from_millis(20)).await;
///         Ok::<_, ()>(call)
///     });
///     assert_eq!(answer.await, Ok(call));
/// }
/// assert!(hedge.wait().is_some());
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Hedge {
    settings: Arc<HedgeSettings>,
    latency: Arc<Latency>,
    share: Budget,
    paid_by: Option<Budget>,
}

impl Hedge {
    /// A hedge that knows no latency yet.
    #[must_use]
    pub fn new(settings: &HedgeSettings) -> Self {
        Hedge::with(settings, Moment::now())
    }

    /// The same, begun at `now`.
    #[must_use]
    pub fn with(settings: &HedgeSettings, now: Moment) -> Self {
        let share = BudgetSettings {
            share: settings.share,
            // As good as nothing: the share alone earns.
            per_second: 0.001,
            ..BudgetSettings::default()
        };
        Hedge {
            settings: Arc::new(settings.clone()),
            latency: Arc::new(Latency::new(settings)),
            share: Budget::empty(&share, now),
            paid_by: None,
        }
    }

    /// Second tries are paid from this retry budget too: under an outage neither retries nor hedges add to the load.
    #[must_use]
    pub fn paid_by(mut self, budget: Budget) -> Self {
        self.paid_by = Some(budget);
        self
    }

    /// The core: a call begins at `now`, and earns its part of a second try.
    pub fn begun(&self, now: Moment) {
        self.share.deposit(now);
    }

    /// The core: after what time a second try would be sent; none before enough calls are known.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.latency
            .percentile()
            .map(|wait| wait.max(self.settings.wait_min))
    }

    /// The core: whether a second try is paid for at `now`; takes it from the budgets.
    #[must_use]
    pub fn spend(&self, now: Moment) -> bool {
        if !self.share.withdraw(now) {
            return false;
        }
        let is_paid = self.paid_by.as_ref().is_none_or(|by| by.withdraw(now));
        if !is_paid {
            // None is sent: an outage must not leave nothing for the time after it.
            self.share.give_back(now);
        }
        is_paid
    }

    /// How many second tries its own share of the calls would pay for at `now`.
    #[must_use]
    pub fn left(&self, now: Moment) -> f64 {
        self.share.left(now)
    }

    /// The core: a try ended after `took`, or was cancelled then as the loser.
    pub fn learn(&self, took: Duration) {
        self.latency.learn(took);
    }

    /// Calls once, and a second time beside it if the first is slow. `call` is given 1 or 2.
    ///
    /// # Errors
    /// The first try's error when there was no second, else the error of the one that ended last.
    pub async fn call<T, E, F>(&self, call: impl FnMut(u32) -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.call_at(Moment::now(), call, |_, later| later).await
    }

    /// The same, begun at `begun`; of two errors `worse` is given the earlier and the later.
    pub(crate) async fn call_at<T, E, F>(
        &self,
        begun: Moment,
        mut call: impl FnMut(u32) -> F,
        worse: impl Fn(E, E) -> E,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.begun(begun);
        let mut first = pin!(call(1));
        if let Some(wait) = self.wait() {
            tokio::select! {
                biased;
                result = &mut first => return self.ended(begun, result),
                () = sleep_until((begun + wait).instant()) => {}
            }
            if self.spend(Moment::now()) {
                let second = pin!(call(2));
                return self.race(begun, first, second, worse).await;
            }
        }
        let result = first.await;
        self.ended(begun, result)
    }

    /// The first good answer, or the last bad one.
    async fn race<T, E>(
        &self,
        begun: Moment,
        mut first: impl Future<Output = Result<T, E>> + Unpin,
        mut second: impl Future<Output = Result<T, E>> + Unpin,
        worse: impl Fn(E, E) -> E,
    ) -> Result<T, E> {
        let hedged = Moment::now();
        let (is_first, result) = tokio::select! {
            biased;
            result = &mut first => (true, result),
            result = &mut second => (false, result),
        };
        match (is_first, result) {
            (true, Ok(answer)) => self.ended(begun, Ok(answer)),
            (false, Ok(answer)) => {
                // What the loser took so far is all that is known of it.
                self.learn(Moment::now().since(begun));
                self.ended(hedged, Ok(answer))
            }
            (true, Err(earlier)) => {
                let result = second.await.map_err(|later| worse(earlier, later));
                self.ended(hedged, result)
            }
            (false, Err(earlier)) => {
                let result = first.await.map_err(|later| worse(earlier, later));
                self.ended(begun, result)
            }
        }
    }

    fn ended<T, E>(&self, begun: Moment, result: Result<T, E>) -> Result<T, E> {
        if result.is_ok() {
            self.learn(Moment::now().since(begun));
        }
        result
    }

    /// A tower layer over this very hedge, for services of safe reads whose requests are `Clone`.
    #[must_use]
    pub fn layer(&self) -> HedgeLayer {
        HedgeLayer(self.clone())
    }
}
