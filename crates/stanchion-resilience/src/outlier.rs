//! Outlier ejection: leaves out the hosts of a dependency that fail while the others work.
//!
//! Envoy's consecutive-5xx detector with its defaults: five failures in a row eject a host for 30 s times the number of
//! its ejections, at most a tenth of the hosts (but one, if there are two). When fewer than half would be left, nobody
//! is ejected: then it is not the host.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::breaker::Verdict;
use crate::guard::{Guard, GuardByLayer};
use crate::{Failure, Moment, Refusal};

stanchion_config::settings! {
    /// When a host is left out, and for how long.
    pub struct OutlierSettings {
        /// Failures in a row that eject it.
        #[range(1..=1000)]
        pub failures_in_row: u32 = 5,
        /// How long, times the number of its ejections.
        #[range("100ms"..="1h")]
        pub ejection: Duration = "30s",
        /// For so long at most.
        #[range("100ms"..="1d")]
        pub ejection_max: Duration = "5m",
        /// The share of hosts that may be out at a time; one always may.
        #[range(0.0..=1.0)]
        pub share_max: f64 = 0.1,
        /// The share of hosts that always stays in.
        #[range(0.0..=1.0)]
        pub share_left_min: f64 = 0.5,
        /// An ejection is forgotten after so long without another.
        #[range("100ms"..="1d")]
        pub forgive_after: Duration = "10s",
    }
}

/// The hosts of one dependency; clones share what is known of them. Bounded by the hosts it is told of.
///
/// ```
/// use stanchion_resilience::{Moment, breaker::Verdict, outlier::{Outliers, OutlierSettings}};
///
/// let hosts = Outliers::new(&OutlierSettings::default());
/// hosts.set_hosts(["one", "other"]);
/// let now = Moment::START;
/// (0..5).for_each(|_| hosts.record(&"one", now, Verdict::Failure));
/// assert!(hosts.is_ejected(&"one", now));
/// assert!(!hosts.is_ejected(&"other", now));
/// ```
#[derive(Debug, Clone)]
pub struct Outliers<H: Hash + Eq> {
    hosts: Arc<Mutex<HashMap<H, Host>>>,
    settings: Arc<OutlierSettings>,
}

/// The calls to one of the hosts, as a [`Guard`].
#[derive(Debug, Clone)]
pub struct HostGuard<H: Hash + Eq> {
    hosts: Outliers<H>,
    host: H,
}

#[derive(Debug, Clone, Copy, Default)]
struct Host {
    failures_in_row: u32,
    ejections: u32,
    /// When the last ejection ended or ends, or was last forgiven.
    until: Moment,
}

impl<H: Hash + Eq + Clone> Outliers<H> {
    /// No hosts yet.
    #[must_use]
    pub fn new(settings: &OutlierSettings) -> Self {
        Outliers {
            hosts: Arc::default(),
            settings: Arc::new(settings.clone()),
        }
    }

    /// The hosts there are now; what is known of those that stay is kept, the others are forgotten.
    pub fn set_hosts(&self, hosts: impl IntoIterator<Item = H>) {
        let mut known = self.hosts.lock();
        let state = |host: H| {
            let state = known.get(&host).copied().unwrap_or_default();
            (host, state)
        };
        let kept = hosts.into_iter().map(state).collect();
        *known = kept;
    }

    /// What a call to `host` gave; a host that was not set is ignored.
    pub fn record(&self, host: &H, now: Moment, verdict: Verdict) {
        let mut hosts = self.hosts.lock();
        let Some(state) = hosts.get_mut(host) else {
            return;
        };
        match verdict {
            Verdict::Ignored => return,
            Verdict::Success => {
                state.failures_in_row = 0;
                state.forgive(now, self.settings.forgive_after);
                return;
            }
            // A call from before the ejection says nothing new.
            Verdict::Failure if state.is_ejected(now) => return,
            Verdict::Failure => state.failures_in_row += 1,
        }
        if state.failures_in_row < self.settings.failures_in_row || !self.may_eject(&hosts, now) {
            return;
        }
        if let Some(state) = hosts.get_mut(host) {
            state.eject(now, &self.settings);
        }
    }

    /// The core: whether a call to `host` may go out at `now`. A host that was not set always may.
    ///
    /// # Errors
    /// [`Refusal::Ejected`] with the time until it is taken in again.
    pub fn admit(&self, host: &H, now: Moment) -> Result<(), Refusal> {
        match self.hosts.lock().get(host) {
            Some(state) if state.is_ejected(now) => Err(Refusal::Ejected {
                retry_after: state.until.since(now),
            }),
            _ => Ok(()),
        }
    }

    /// Runs `call` to `host` unless that is left out; every error counts as a failure of the host.
    ///
    /// A call whose caller goes away says nothing about the host. Nor does one that hangs: put a timeout inside.
    ///
    /// # Errors
    /// Refused as [`admit`](Self::admit) does, else what `call` gave.
    pub async fn call<T, E>(
        &self,
        host: &H,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        self.call_judged(host, call, Verdict::of).await
    }

    /// The same, with `judge` telling what the outcome says about the host.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_judged<T, E>(
        &self,
        host: &H,
        call: impl Future<Output = Result<T, E>>,
        judge: impl FnOnce(&Result<T, E>) -> Verdict,
    ) -> Result<T, Failure<E>> {
        self.admit(host, Moment::now())?;
        let result = call.await;
        self.record(host, Moment::now(), judge(&result));
        result.map_err(Failure::Remote)
    }

    /// The guard of the calls to one host.
    #[must_use]
    pub fn host(&self, host: H) -> HostGuard<H> {
        HostGuard {
            hosts: self.clone(),
            host,
        }
    }

    /// A tower layer over these very hosts; `of` tells which one a request goes to.
    pub fn layer<R>(
        &self,
        of: impl Fn(&R) -> H + Clone,
    ) -> GuardByLayer<impl Fn(&R) -> HostGuard<H> + Clone> {
        let hosts = self.clone();
        GuardByLayer::new(move |request: &R| hosts.host(of(request)))
    }

    /// Whether `host` is left out at `now`.
    #[must_use]
    pub fn is_ejected(&self, host: &H, now: Moment) -> bool {
        self.hosts
            .lock()
            .get(host)
            .is_some_and(|state| state.is_ejected(now))
    }

    /// How many hosts are left out at `now`.
    #[must_use]
    pub fn ejected(&self, now: Moment) -> usize {
        count(&self.hosts.lock(), now)
    }

    fn may_eject(&self, hosts: &HashMap<H, Host>, now: Moment) -> bool {
        let (all, out) = (hosts.len() as f64, (count(hosts, now) + 1) as f64);
        let is_few = out <= (all * self.settings.share_max).max(1.0);
        is_few && all - out >= all * self.settings.share_left_min
    }
}

impl Host {
    fn is_ejected(&self, now: Moment) -> bool {
        self.ejections > 0 && now < self.until
    }

    fn eject(&mut self, now: Moment, settings: &OutlierSettings) {
        self.failures_in_row = 0;
        self.ejections = self.ejections.saturating_add(1);
        let span = settings.ejection.saturating_mul(self.ejections);
        self.until = now + span.min(settings.ejection_max);
    }

    fn forgive(&mut self, now: Moment, after: Duration) {
        while self.ejections > 0 && now >= self.until + after {
            self.ejections -= 1;
            self.until = self.until + after;
        }
    }
}

impl<H: Hash + Eq + Clone + Send + Sync + 'static> Guard for HostGuard<H> {
    async fn guard<T: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Failure<E>> {
        self.hosts.call(&self.host, call).await
    }
}

fn count<H>(hosts: &HashMap<H, Host>, now: Moment) -> usize {
    hosts.values().filter(|host| host.is_ejected(now)).count()
}
