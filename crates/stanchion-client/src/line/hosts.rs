//! The hosts of a dependency: found, chosen, and left out while they fail.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use stanchion_resilience::breaker::Verdict;
use stanchion_resilience::outlier::Outliers;
use stanchion_resilience::{Dice, Moment};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::detached;
use super::dial::SharedDialer;
use super::load::{Load, choose};
use super::pool::Pool;
use crate::Discovery;
use crate::discovery::{HOSTS_MAX, Source};

/// One host.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    pub(crate) pool: Arc<Pool>,
    pub(crate) load: Mutex<Load>,
    /// How often in a row nobody could connect, and until when nobody tries who has another host.
    away: Mutex<(u32, Moment)>,
}

/// The first of those waits; it doubles up to [`AWAY_MAX`].
const AWAY_MIN: Duration = Duration::from_millis(250);
const AWAY_MAX: Duration = Duration::from_secs(8);

/// A question about addresses that takes longer is given up: the next one is asked then, and not never.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// A host that nobody can connect to may be elsewhere by now: addresses are asked for again then, so often at most.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Host {
    /// What connecting came to. Ejection is for hosts that answer badly and leaves most of them in; one that nobody can
    /// connect to serves no one, so there is no share to keep.
    pub(crate) fn connected(&self, now: Moment, could: bool) {
        let mut away = self.away.lock();
        if could {
            *away = (0, Moment::START);
            return;
        }
        let wait = AWAY_MIN.saturating_mul(1 << away.0.min(5));
        *away = (away.0.saturating_add(1), now + wait.min(AWAY_MAX));
    }

    fn is_away(&self, now: Moment) -> bool {
        now < self.away.lock().1
    }
}

/// All hosts, as discovery had them last.
pub(crate) struct Hosts {
    source: Source,
    dialer: SharedDialer,
    dice: Dice,
    known: RwLock<Arc<[Arc<Host>]>>,
    outliers: Outliers<SocketAddr>,
    /// One question at a time.
    asking: AtomicBool,
    answered: Notify,
    /// Why the last question gave nothing, for those who wait for a first answer.
    failed: Mutex<Option<String>>,
    asked_at: Mutex<Moment>,
}

impl Hosts {
    pub(crate) fn new(discovery: Discovery, dialer: SharedDialer, dice: Dice) -> Arc<Self> {
        let hosts = Arc::new(Self {
            outliers: Outliers::new(&dialer.settings.outlier),
            source: discovery.0,
            dialer,
            dice,
            known: RwLock::new(Arc::new([])),
            asking: AtomicBool::new(false),
            answered: Notify::new(),
            failed: Mutex::default(),
            asked_at: Mutex::new(Moment::START),
        });
        if let Source::Fixed(addresses) = &hosts.source {
            hosts.learn(addresses.clone());
        }
        hosts
    }

    /// A host for one try, preferably not the one that another try has just had.
    ///
    /// # Errors
    /// No address is known, and none was found in time.
    pub(crate) async fn pick(
        self: &Arc<Self>,
        but: Option<SocketAddr>,
    ) -> Result<Arc<Host>, String> {
        let known = self.found().await?;
        let now = Moment::now();
        let fits = |host: &&Arc<Host>| !self.outliers.is_ejected(&host.address, now);
        let inside: Vec<&Arc<Host>> = known.iter().filter(fits).collect();
        let there: Vec<&Arc<Host>> = known.iter().filter(|host| !host.is_away(now)).collect();
        let both = |host: &&Arc<Host>| !host.is_away(now) && Some(host.address) != but;
        let best: Vec<&Arc<Host>> = inside.iter().copied().filter(both).collect();
        let others: Vec<&Arc<Host>> = inside
            .iter()
            .copied()
            .filter(|host| Some(host.address) != but)
            .collect();
        // Better the same one again than none.
        let candidates = [best, there, others, inside, known.iter().collect()];
        let candidates = candidates.iter().find(|list| !list.is_empty());
        let candidates = candidates.map_or(&[][..], Vec::as_slice);
        let costs: Vec<f64> = candidates
            .iter()
            .map(|host| host.load.lock().cost(now))
            .collect();
        let chosen = choose(&costs, &self.dice).map(|index| Arc::clone(candidates[index]));
        chosen.ok_or_else(|| "there is no host".into())
    }

    /// What a try gave.
    pub(crate) fn record(&self, host: &Host, now: Moment, verdict: Verdict) {
        self.outliers.record(&host.address, now, verdict);
        let ejected = self.outliers.ejected(now);
        let ejected = i64::try_from(ejected).unwrap_or(i64::MAX);
        self.dialer.metrics.ejected.set(ejected);
    }

    /// Nobody could connect to one of them: the next question does not wait until it is time.
    pub(crate) fn doubt(self: &Arc<Self>, now: Moment) {
        let asked = *self.asked_at.lock();
        if now.since(asked) >= AGAIN_AFTER {
            self.ask();
        }
    }

    /// Closes idle connections, and asks for addresses and files when it is time.
    pub(crate) fn tidy(self: &Arc<Self>, now: Moment) {
        for host in self.known.read().iter() {
            host.pool.tidy(now);
        }
        let asked = *self.asked_at.lock();
        let is_due = now.since(asked) >= self.dialer.settings.lookup_every;
        if is_due && matches!(self.source, Source::Asked { .. }) && !self.known.read().is_empty() {
            self.ask();
        }
    }

    async fn found(self: &Arc<Self>) -> Result<Arc<[Arc<Host>]>, String> {
        let answered = self.answered.notified();
        let known = Arc::clone(&self.known.read());
        if !known.is_empty() {
            return Ok(known);
        }
        self.ask();
        let within = self.dialer.settings.connect_timeout;
        if timeout(within, answered).await.is_err() {
            return Err(format!("no address was found within {within:?}"));
        }
        let known = Arc::clone(&self.known.read());
        if known.is_empty() {
            let why = self.failed.lock().clone();
            return Err(why.unwrap_or_else(|| "there is no address".into()));
        }
        Ok(known)
    }

    /// Asks for addresses, unless somebody does: whoever goes away does not end the question.
    fn ask(self: &Arc<Self>) {
        let Source::Asked { about, ask } = &self.source else {
            return;
        };
        if self.asking.swap(true, Ordering::AcqRel) {
            return;
        }
        *self.asked_at.lock() = Moment::now();
        let (hosts, about, ask) = (Arc::clone(self), about.clone(), Arc::clone(ask));
        let settings = &self.dialer.settings;
        // Who asks often has the next question for an answer.
        let within = settings.lookup_every.min(ANSWERED_WITHIN);
        let within = within.max(settings.connect_timeout);
        detached("client discovery", async move {
            let done = Asked(hosts);
            // Here, so that a question which panics is over as well.
            let answer = timeout(within, ask()).await;
            let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
            done.0
                .answered(&about, answer.unwrap_or_else(|_| Err(late())));
        });
    }

    fn answered(&self, about: &str, answer: io::Result<Vec<SocketAddr>>) {
        let why = match answer {
            Ok(addresses) if !addresses.is_empty() => {
                self.dialer.metrics.looked_up("ok");
                *self.failed.lock() = None;
                self.learn(addresses);
                return;
            }
            Ok(_) => format!("{about} has no address"),
            Err(error) => format!("{about}: {error}"),
        };
        self.dialer.metrics.looked_up("failed");
        tracing::warn!(
            reason = why,
            "addresses were not found; those of before count"
        );
        *self.failed.lock() = Some(why);
    }

    /// Keeps what is known of hosts that stay.
    fn learn(&self, mut addresses: Vec<SocketAddr>) {
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(HOSTS_MAX);
        self.outliers.set_hosts(addresses.iter().copied());
        let mut known = self.known.write();
        let before = Arc::clone(&known);
        let host = |address| {
            let same = before.iter().find(|host| host.address == address);
            same.cloned().unwrap_or_else(|| self.host(address))
        };
        *known = addresses.into_iter().map(host).collect();
        let count = i64::try_from(known.len()).unwrap_or(i64::MAX);
        self.dialer.metrics.hosts.set(count);
    }

    fn host(&self, address: SocketAddr) -> Arc<Host> {
        let (dialer, dice) = (Arc::clone(&self.dialer), self.dice.clone());
        Arc::new(Host {
            address,
            pool: Arc::new(Pool::new(address, dialer, dice)),
            load: Mutex::new(Load::new(Moment::now())),
            away: Mutex::new((0, Moment::START)),
        })
    }
}

/// A question that is over in whatever way.
struct Asked(Arc<Hosts>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.asking.store(false, Ordering::Release);
        self.0.answered.notify_waiters();
    }
}
