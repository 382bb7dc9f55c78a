use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stanchion_runtime::task;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::Check;

/// Checks are asked at most this often, however many ask us.
const FRESH: Duration = Duration::from_millis(500);
/// What does not decide whether we are ready is waited for this long; until it answers, what it said last is told.
/// A balancer's probe does not wait for long either: a dependency that is slow and optional must not take us out.
const OPTIONAL_WITHIN: Duration = Duration::from_millis(250);

/// One check, asked by itself, and what it said last.
#[derive(Clone)]
pub(super) struct Probe {
    pub(super) check: Check,
    timeout: Duration,
    last: watch::Sender<Option<Seen>>,
    asking: Arc<AtomicBool>,
}

/// What a check said.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) result: Result<(), String>,
    pub(super) latency: Duration,
    at: Instant,
}

/// The one who asks, until it has the answer or ends without.
struct Asking(Arc<AtomicBool>);

impl Probe {
    pub(super) fn new(check: Check, timeout: Duration) -> Self {
        Self {
            check,
            timeout,
            last: watch::Sender::new(None),
            asking: Arc::default(),
        }
    }

    /// What it said last, asked now or lately.
    pub(super) async fn seen(&self) -> Seen {
        let mut told = self.last.subscribe();
        let now = Instant::now();
        self.ask(now);
        let patience = if self.check.required {
            self.timeout + FRESH
        } else {
            self.timeout.min(OPTIONAL_WITHIN)
        };
        // Fresh as of now: whoever is woken late on a busy machine must not take its answer for an old one.
        let fresh = told.wait_for(|seen| seen.as_ref().is_some_and(|seen| seen.is_fresh(now)));
        let fresh = timeout(patience, fresh).await;
        let fresh = fresh.is_ok().then(|| self.last.borrow().clone()).flatten();
        // Of what decides nothing an old answer is better than none.
        let old = || self.last.borrow().clone().filter(|_| !self.check.required);
        fresh
            .or_else(old)
            .unwrap_or_else(|| Seen::nothing(patience))
    }

    /// What it said last, whenever that was.
    pub(super) fn last(&self) -> Option<Seen> {
        self.last.borrow().clone()
    }

    /// Asks, unless somebody does already or has done so lately; it goes on whoever leaves meanwhile.
    fn ask(&self, now: Instant) {
        let last = self.last.borrow();
        let fresh = last.as_ref().is_some_and(|seen| seen.is_fresh(now));
        drop(last);
        if fresh || self.asking.swap(true, Ordering::AcqRel) {
            return;
        }
        let asking = Asking(Arc::clone(&self.asking));
        let (check, last, within) = (self.check.clone(), self.last.clone(), self.timeout);
        let _asked = task::spawn("readiness check", async move {
            let started = Instant::now();
            let asked = timeout(within, (check.ask)()).await;
            let result = asked.unwrap_or_else(|_| Err(format!("no answer within {within:?}")));
            last.send_replace(Some(Seen {
                result,
                latency: started.elapsed(),
                at: Instant::now(),
            }));
            drop(asking);
        });
    }
}

impl Seen {
    fn nothing(within: Duration) -> Self {
        Self {
            result: Err(format!("no answer within {within:?}")),
            latency: within,
            at: Instant::now(),
        }
    }

    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < FRESH
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_woken_late_does_not_take_a_fresh_answer_for_an_old_one() {
        let ask = || -> futures_util::future::BoxFuture<'static, Result<(), String>> {
            Box::pin(async { Ok(()) })
        };
        let check = Check {
            name: "database".into(),
            module: "one",
            required: true,
            ask: Arc::new(ask),
        };
        let probe = Probe::new(check, Duration::from_secs(2));
        let mut seen = std::pin::pin!(probe.seen());
        assert!(poll!(seen.as_mut()).is_pending());
        // The check answers, and the machine has no turn for whoever asked.
        while probe.last().is_none() {
            tokio::task::yield_now().await;
        }
        tokio::time::advance(FRESH + Duration::from_millis(100)).await;
        let std::task::Poll::Ready(seen) = poll!(seen.as_mut()) else {
            panic!("it waits for another answer");
        };
        assert_eq!(seen.result, Ok(()));
    }
}
