//! What HTTP and gRPC share: the way of one try from the policy to a host and back.

mod arriving;
mod dial;
mod hosts;
mod load;
mod outgoing;
mod pool;
mod trying;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use stanchion_resilience::breaker::Verdict;
use stanchion_resilience::deadline::Deadline;
use stanchion_resilience::policy::{Attempt, Policy};
use stanchion_resilience::retry::{Retryable, Stopped};
use stanchion_resilience::{Dice, Moment, Refusal, origin};
use stanchion_runtime::task::{blocking, spawn_apart};
use stanchion_telemetry::{Metrics, trace};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

pub(crate) use arriving::Arriving;
pub(crate) use dial::{BoxError, Protocol};
pub(crate) use outgoing::Outgoing;
pub(crate) use trying::{Trying, collected};

use crate::error::Fault;
use crate::metrics::{ClientMetrics, Counting};
use crate::target::Target;
use crate::tls::Tls;
use crate::{ClientSettings, Discovery, SetupError};
use dial::Dialer;
use hosts::Hosts;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One dependency: its policy, its hosts, its connections.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) target: Target,
    pub(crate) policy: Policy,
    pub(crate) settings: ClientSettings,
    pub(crate) metrics: ClientMetrics,
    dialer: Arc<Dialer>,
    hosts: Arc<Hosts>,
    streams: Arc<Semaphore>,
    kept: AtomicBool,
}

/// What the tries of one call know of each other.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Option<SocketAddr>>);

impl Seen {
    /// The host that was called last.
    pub(crate) fn last(&self) -> Option<SocketAddr> {
        *self.0.lock()
    }
}

/// The place of an open stream or streamed body.
pub(crate) struct Streaming {
    _place: OwnedSemaphorePermit,
    _counting: Counting,
}

impl Line {
    pub(crate) fn new(
        name: &str,
        url: &str,
        protocol: Protocol,
        settings: &ClientSettings,
        metrics: &Metrics,
        discovery: Option<Discovery>,
    ) -> Result<Arc<Self>, SetupError> {
        let target = Target::parse(url)?;
        let dice = Dice::system();
        let policy = Policy::with(name, &settings.policy, metrics, &dice);
        let counters = ClientMetrics::new(metrics, name);
        let dialer = Arc::new(Dialer {
            tls: Tls::of(&target, &settings.tls, protocol.names())?,
            protocol,
            settings: settings.clone(),
            metrics: counters.clone(),
        });
        let discovery = match discovery {
            Some(given) => given,
            None => discovered(&target, &settings.addresses)?,
        };
        Ok(Arc::new(Self {
            name: name.to_owned(),
            policy,
            hosts: Hosts::new(discovery, Arc::clone(&dialer), dice),
            streams: Arc::new(Semaphore::new(settings.streams_max as usize)),
            settings: settings.clone(),
            metrics: counters,
            dialer,
            target,
            kept: AtomicBool::new(false),
        }))
    }

    /// Begins one try: takes a host, which is another one than the last try had if there is one.
    pub(crate) async fn begin<R>(
        self: &Arc<Self>,
        attempt: Attempt,
        seen: &Seen,
    ) -> Result<Trying<'_>, Fault<R>> {
        self.keep();
        let begun = Moment::now();
        let host = self.hosts.pick(seen.last()).await.map_err(Fault::Connect)?;
        *seen.0.lock() = Some(host.address);
        host.load.lock().begin();
        Ok(Trying {
            line: self,
            host,
            begun,
            allowed: attempt.left,
            settled: false,
        })
    }

    /// A place for a stream.
    pub(crate) fn stream(&self) -> Result<Streaming, Refusal> {
        let place = Arc::clone(&self.streams).try_acquire_owned();
        Ok(Streaming {
            _place: place.map_err(|_| Refusal::BulkheadFull)?,
            _counting: Counting::of(&self.metrics.streams),
        })
    }

    /// The deadline of a call: what was given with it, or nearer that of the request being served.
    pub(crate) fn deadline(&self, given: Option<Deadline>) -> Deadline {
        given.unwrap_or(Deadline::NONE).earlier(origin::deadline())
    }

    /// Tells the request being served that a call was tried as often as that is good, by us or, as we were told, further
    /// down: nobody above tries it again.
    pub(crate) fn gave_up(&self, stopped: Stopped, was_told: bool) {
        let tries = self.policy.retry().is_some() && self.policy.settings().retry.attempts > 1;
        let is_enough = matches!(
            stopped,
            Stopped::Attempts | Stopped::Budget | Stopped::Refused(_)
        );
        if was_told || (tries && is_enough) {
            origin::gave_up();
        }
    }

    /// What goes along in every protocol: trace and request id.
    pub(crate) fn pass(&self, headers: &mut HeaderMap) {
        if !self.settings.pass_context {
            return;
        }
        trace::inject(headers);
        if headers.contains_key(REQUEST_ID) {
            return;
        }
        let origin = origin::current();
        let id = origin.as_ref().and_then(|origin| origin.request_id());
        if let Some(id) = id.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert(REQUEST_ID, id);
        }
    }

    /// Starts what looks after connections, addresses and certificates as long as the client lives.
    fn keep(self: &Arc<Self>) {
        if self.kept.load(Ordering::Relaxed) || self.kept.swap(true, Ordering::Relaxed) {
            return;
        }
        let settings = &self.settings;
        let mut every = (settings.idle_timeout / 2).min(settings.lookup_every);
        if self.dialer.tls.as_ref().is_some_and(Tls::has_files) {
            every = every.min(settings.tls.reload_every);
        }
        detached("client keeper", keeper(Arc::downgrade(self), every));
    }
}

/// Runs `work` as a task of no request: it outlives the call that happens to begin it, whose span must end with it.
fn detached(name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    drop(spawn_apart(name, work));
}

async fn keeper(line: Weak<Line>, every: Duration) {
    let mut refreshed = Moment::now();
    loop {
        sleep(every).await;
        let Some(line) = line.upgrade() else { return };
        let now = Moment::now();
        line.hosts.tidy(now);
        let has_files = line.dialer.tls.as_ref().is_some_and(Tls::has_files);
        if has_files && now.since(refreshed) >= line.settings.tls.reload_every {
            refreshed = now;
            let dialer = Arc::clone(&line.dialer);
            let read = blocking("client certificates", move || {
                dialer.tls.as_ref().map(Tls::refresh);
            });
            // One that panics has said so; the next look is another one.
            let _ = read.await;
        }
    }
}

fn discovered(target: &Target, addresses: &[String]) -> Result<Discovery, SetupError> {
    if let Ok(ip) = target.host.parse()
        && addresses.is_empty()
    {
        return Ok(Discovery::fixed([SocketAddr::new(ip, target.port)]));
    }
    if addresses.is_empty() {
        return Ok(Discovery::dns(&target.host, target.port));
    }
    let parsed: Result<Vec<SocketAddr>, _> = addresses
        .iter()
        .map(|text| text.parse().map_err(|_| SetupError::Address(text.clone())))
        .collect();
    parsed.map(Discovery::fixed)
}

/// What a fault says of the dependency's health.
pub(crate) fn verdict_of<R>(fault: &Fault<R>, said: impl FnOnce(&R) -> Verdict) -> Verdict {
    match fault {
        Fault::Connect(_) | Fault::Broken { .. } => Verdict::Failure,
        Fault::Said(answer) => said(answer),
        Fault::Full | Fault::TooLarge(_) | Fault::Malformed(_) => Verdict::Ignored,
    }
}

/// Whether the call can be sent again after it.
pub(crate) fn retryable<R>(fault: &Fault<R>, said: impl FnOnce(&R) -> Retryable) -> Retryable {
    match fault {
        Fault::Connect(_) | Fault::Broken { unsent: true, .. } => {
            Retryable::NotDone { after: None }
        }
        Fault::Broken { .. } => Retryable::unknown(),
        Fault::Said(answer) => said(answer),
        Fault::Full | Fault::TooLarge(_) | Fault::Malformed(_) => Retryable::Never,
    }
}

/// The same as a metric's label.
pub(crate) fn label<R>(fault: &Fault<R>) -> &'static str {
    match fault {
        Fault::Connect(_) => "connect",
        Fault::Full => "full",
        Fault::Broken { unsent: true, .. } => "refused",
        Fault::Broken { .. } => "broken",
        Fault::Said(_) => "status",
        Fault::TooLarge(_) => "too_large",
        Fault::Malformed(_) => "malformed",
    }
}
