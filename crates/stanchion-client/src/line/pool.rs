//! The connections to one host: of HTTP/1.1 one a call, of HTTP/2 one for all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::client::conn::{http1, http2};
use parking_lot::Mutex;
use stanchion_resilience::deadline::HopCost;
use stanchion_resilience::{Dice, Moment};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use super::detached;
use super::dial::{Dialed, Protocol, SharedDialer};
use super::outgoing::Outgoing;
use crate::error::Fault;

/// The share by which a connection's life is made longer or shorter by chance: not all end at once.
const LIFE_JITTER: f64 = 0.1;

/// The connections of one host. At most `connections_max` are open: one is dialled only when none is idle, and each
/// that is idle or in use has its place among the slots then.
pub(crate) struct Pool {
    address: SocketAddr,
    dialer: SharedDialer,
    /// What the way to the host costs.
    pub(crate) way: HopCost,
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Option<Shared>>,
    /// Whether the host speaks HTTP/2: then one dials for all.
    is_h2: AtomicBool,
    dialing: Mutex<Option<watch::Receiver<Option<Dial>>>>,
    slots: Arc<Semaphore>,
    dice: Dice,
}

struct Idle {
    sender: http1::SendRequest<Outgoing>,
    since: Moment,
    ends: Moment,
}

struct Shared {
    sender: http2::SendRequest<Outgoing>,
    ends: Moment,
    used: Moment,
}

/// What came of the one dial that all wait for.
type Dial = Result<(), String>;

/// Why there is no connection.
pub(crate) enum NoLease {
    /// As many as there may be are in use.
    Full,
    /// None can be made.
    Connect(String),
}

impl From<String> for NoLease {
    fn from(why: String) -> Self {
        Self::Connect(why)
    }
}

impl<R> From<NoLease> for Fault<R> {
    fn from(none: NoLease) -> Self {
        match none {
            NoLease::Full => Self::Full,
            NoLease::Connect(why) => Self::Connect(why),
        }
    }
}

/// A connection for one call.
pub(crate) enum Leased {
    One(One),
    Shared {
        sender: http2::SendRequest<Outgoing>,
        fresh: bool,
    },
}

/// A connection of HTTP/1.1 with its slot. Dropped, it is closed.
pub(crate) struct One {
    pub(crate) sender: http1::SendRequest<Outgoing>,
    ends: Moment,
    pub(crate) fresh: bool,
    _slot: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(address: SocketAddr, dialer: SharedDialer, dice: Dice) -> Self {
        let slots = Arc::new(Semaphore::new(dialer.settings.connections_max as usize));
        Self {
            address,
            way: HopCost::default(),
            idle: Mutex::default(),
            shared: Mutex::default(),
            is_h2: AtomicBool::new(dialer.protocol == Protocol::Http2),
            dialing: Mutex::default(),
            slots,
            dice,
            dialer,
        }
    }

    /// A connection that is there, or a new one.
    ///
    /// # Errors
    /// Why there is none. Nothing was sent then.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Leased, NoLease> {
        if let Some(sender) = self.shared() {
            let fresh = false;
            return Ok(Leased::Shared { sender, fresh });
        }
        if self.is_h2.load(Ordering::Relaxed) {
            return self.dial_for_all().await;
        }
        let slot = self.slot().await?;
        while let Some(idle) = self.take_idle() {
            let Idle {
                mut sender, ends, ..
            } = idle;
            // It may have to see the end of its last answer first, or find that the host has closed it.
            let patience = self.dialer.settings.connect_timeout;
            if matches!(timeout(patience, sender.ready()).await, Ok(Ok(()))) {
                return Ok(Leased::One(One {
                    sender,
                    ends,
                    fresh: false,
                    _slot: slot,
                }));
            }
        }
        match self.dialer.dial(self.address, &self.way).await? {
            Dialed::One(sender) => Ok(Leased::One(One {
                sender,
                ends: self.end(),
                fresh: true,
                _slot: slot,
            })),
            Dialed::Shared(sender) => Ok(self.share(sender)),
        }
    }

    /// Takes a connection back whose answer was read to its end.
    pub(crate) fn give_back(&self, one: One) {
        let now = Moment::now();
        if one.sender.is_closed() || now >= one.ends {
            return;
        }
        let One { sender, ends, .. } = one;
        let since = now;
        // The slot is free only after the connection can be taken.
        self.idle.lock().push(Idle {
            sender,
            since,
            ends,
        });
    }

    /// Closes what was idle for too long.
    pub(crate) fn tidy(&self, now: Moment) {
        self.idle.lock().retain(|idle| self.is_fresh(idle, now));
        let mut shared = self.shared.lock();
        let idle = self.dialer.settings.idle_timeout;
        // Calls that run on it have ends of their own: it closes behind the last of them.
        let stale = |shared: &Shared| {
            shared.sender.is_closed() || now >= shared.ends || now.since(shared.used) >= idle
        };
        if shared.as_ref().is_some_and(stale) {
            *shared = None;
        }
    }

    async fn slot(&self) -> Result<OwnedSemaphorePermit, NoLease> {
        let within = self.dialer.settings.connect_timeout;
        match timeout(within, Arc::clone(&self.slots).acquire_owned()).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => {
                self.dialer.metrics.connected("full");
                Err(NoLease::Full)
            }
        }
    }

    fn take_idle(&self) -> Option<Idle> {
        let now = Moment::now();
        let mut idle = self.idle.lock();
        // The one used last is the likeliest to be alive.
        while let Some(last) = idle.pop() {
            if self.is_fresh(&last, now) {
                return Some(last);
            }
        }
        None
    }

    fn is_fresh(&self, idle: &Idle, now: Moment) -> bool {
        let kept = self.dialer.settings.idle_timeout;
        !idle.sender.is_closed() && now < idle.ends && now.since(idle.since) < kept
    }

    fn shared(&self) -> Option<http2::SendRequest<Outgoing>> {
        let now = Moment::now();
        let mut shared = self.shared.lock();
        let known = shared.as_mut()?;
        if known.sender.is_closed() || now >= known.ends {
            *shared = None;
            return None;
        }
        known.used = now;
        Some(known.sender.clone())
    }

    async fn dial_for_all(self: &Arc<Self>) -> Result<Leased, NoLease> {
        let mut told = self.dialing();
        // It ends within its own time; without a word only when the runtime does.
        let ended = told.wait_for(Option::is_some).await;
        let result = ended.ok().and_then(|result| result.clone());
        result.unwrap_or_else(|| Err(self.said("the client has ended")))?;
        let Some(sender) = self.shared() else {
            return Err(self.said("it closed the connection at once").into());
        };
        Ok(Leased::Shared {
            sender,
            fresh: true,
        })
    }

    /// The dial that is under way, or a new one. It outlives the caller who began it: others wait for it, and a host whose
    /// handshake takes longer than its callers have would never be reached.
    fn dialing(self: &Arc<Self>) -> watch::Receiver<Option<Dial>> {
        let mut dialing = self.dialing.lock();
        if let Some(told) = &*dialing
            && told.borrow().is_none()
            && told.has_changed().is_ok()
        {
            return told.clone();
        }
        let (tell, told) = watch::channel(None);
        *dialing = Some(told.clone());
        let pool = Arc::clone(self);
        detached("client dial", async move {
            tell.send_replace(Some(pool.dial_shared().await));
        });
        told
    }

    async fn dial_shared(&self) -> Dial {
        // Between the caller's look and this one another dial may have ended.
        if self.shared().is_some() {
            return Ok(());
        }
        match self.dialer.dial(self.address, &self.way).await? {
            Dialed::Shared(sender) => {
                self.share(sender);
                Ok(())
            }
            // It spoke HTTP/2 before and does not now: the next call finds the other way.
            Dialed::One(_) => {
                self.is_h2.store(false, Ordering::Relaxed);
                Err(self.said("it speaks another HTTP now"))
            }
        }
    }

    fn said(&self, why: &str) -> String {
        format!("{}: {why}", self.address)
    }

    fn share(&self, sender: http2::SendRequest<Outgoing>) -> Leased {
        self.is_h2.store(true, Ordering::Relaxed);
        *self.shared.lock() = Some(Shared {
            sender: sender.clone(),
            ends: self.end(),
            used: Moment::now(),
        });
        Leased::Shared {
            sender,
            fresh: true,
        }
    }

    fn end(&self) -> Moment {
        let life = self.dialer.settings.connection_life;
        Moment::now() + self.dice.around(life, LIFE_JITTER)
    }
}
