//! What HTTP and gRPC share: the way of one try from the policy to a host and back.

mod arriving;
mod dial;
mod hosts;
mod load;
mod outgoing;
mod pool;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, Version};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use stanchion_resilience::breaker::Verdict;
use stanchion_resilience::deadline::Deadline;
use stanchion_resilience::policy::{Attempt, Policy};
use stanchion_resilience::retry::Retryable;
use stanchion_resilience::{Dice, Moment, Refusal, origin};
use stanchion_runtime::task::spawn;
use stanchion_telemetry::{Metrics, trace};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

pub(crate) use arriving::Arriving;
pub(crate) use dial::{BoxError, Protocol};
pub(crate) use outgoing::Outgoing;

use crate::error::Fault;
use crate::metrics::{ClientMetrics, Counting};
use crate::target::Target;
use crate::tls::Tls;
use crate::{ClientSettings, Discovery, SetupError};
use dial::Dialer;
use hosts::{Host, Hosts};
use pool::Leased;

/// How often a call finds that a connection was closed before anything of it was sent, and takes another.
const STALE_MAX: usize = 3;

/// Nobody is told of less time than this: it would read as none.
const LEFT_MIN: Duration = Duration::from_millis(1);

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

/// One try at one host; what came of it is recorded when it ends, or is dropped.
pub(crate) struct Trying<'l> {
    line: &'l Line,
    host: Arc<Host>,
    begun: Moment,
    allowed: Duration,
    settled: bool,
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
        let every = (settings.idle_timeout / 2).min(settings.lookup_every);
        let line = Arc::downgrade(self);
        drop(spawn("client keeper", keeper(line, every)));
    }
}

async fn keeper(line: Weak<Line>, every: Duration) {
    let mut refreshed = Moment::now();
    loop {
        sleep(every).await;
        let Some(line) = line.upgrade() else { return };
        let now = Moment::now();
        line.hosts.tidy(now);
        if let Some(tls) = line.dialer.tls.as_ref().filter(|tls| tls.has_files())
            && now.since(refreshed) >= line.settings.tls.reload_every
        {
            refreshed = now;
            tls.refresh();
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

impl Trying<'_> {
    /// What the host is told to be left: what the attempt may still take, less what the way costs.
    pub(crate) fn left(&self) -> Duration {
        let spent = Moment::now().since(self.begun);
        let left = self.allowed.saturating_sub(spent);
        left.saturating_sub(self.host.pool.way.estimate())
            .max(LEFT_MIN)
    }

    /// Sends the request, once: a connection that was closed before it took anything is replaced.
    pub(crate) async fn send<R>(
        &self,
        mut request: Request<Outgoing>,
    ) -> Result<Response<Arriving>, Fault<R>> {
        let whole = request.uri().clone();
        for _ in 0..STALE_MAX {
            let leased = self.host.pool.lease().await.map_err(Fault::Connect)?;
            let (mut error, fresh) = match leased {
                Leased::Shared { mut sender, fresh } => {
                    addressed(&mut request, &whole, Version::HTTP_2, &self.line.target);
                    match sender.try_send_request(request).await {
                        Ok(response) => return Ok(response.map(|body| Arriving::new(body, None))),
                        Err(error) => (error, fresh),
                    }
                }
                Leased::One(mut one) => {
                    addressed(&mut request, &whole, Version::HTTP_11, &self.line.target);
                    match one.sender.try_send_request(request).await {
                        Ok(response) => {
                            let pool = Arc::downgrade(&self.host.pool);
                            return Ok(response.map(|body| Arriving::new(body, Some((one, pool)))));
                        }
                        Err(error) => (error, one.fresh),
                    }
                }
            };
            match error.take_message() {
                Some(unsent) if !fresh => request = unsent,
                unsent => return Err(broken(error.error(), unsent.is_some())),
            }
        }
        Err(Fault::Connect(format!(
            "{}: one connection after the other was closed",
            self.host.address
        )))
    }

    /// The try has ended, or a stream has begun, and this is what it says of the host.
    pub(crate) fn ended(mut self, outcome: &'static str, verdict: Verdict) {
        self.settle(outcome, verdict);
    }

    fn settle(&mut self, outcome: &'static str, verdict: Verdict) {
        self.settled = true;
        let now = Moment::now();
        let took = now.since(self.begun);
        let mut load = self.host.load.lock();
        load.end();
        match verdict {
            Verdict::Success => load.learn(now, took, false),
            Verdict::Failure => load.learn(now, took, true),
            Verdict::Ignored => {}
        }
        drop(load);
        self.line.metrics.attempted(outcome);
        self.line.metrics.seconds.observe(took.as_secs_f64());
        self.line.hosts.record(&self.host, now, verdict);
    }
}

/// Dropped unsettled, its time was over or its caller went away: only the first is the host's fault.
impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let took = Moment::now().since(self.begun);
        if took + LEFT_MIN >= self.allowed {
            self.settle("timed_out", Verdict::Failure);
        } else {
            self.settle("cancelled", Verdict::Ignored);
        }
    }
}

/// HTTP/1.1 has the path alone and a header for the host; HTTP/2 has it all in the URL.
fn addressed(request: &mut Request<Outgoing>, whole: &Uri, version: Version, target: &Target) {
    *request.version_mut() = version;
    if version == Version::HTTP_2 {
        *request.uri_mut() = whole.clone();
        request.headers_mut().remove(HOST);
        return;
    }
    if let Some(path) = whole.path_and_query() {
        *request.uri_mut() = path.clone().into();
    }
    let host = target.host_header.clone();
    request.headers_mut().insert(HOST, host);
}

fn broken<R>(error: &hyper::Error, unsent: bool) -> Fault<R> {
    let cause = std::error::Error::source(error);
    let unsent = unsent || cause.is_some_and(is_refused);
    let why = match cause {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    Fault::Broken { why, unsent }
}

/// Whether the host says that it did nothing: a refused stream, or one above those it still serves while going away
/// (RFC 9113, 6.8 and 8.7).
fn is_refused(cause: &(dyn std::error::Error + 'static)) -> bool {
    let Some(error) = cause.downcast_ref::<h2::Error>() else {
        return false;
    };
    let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
    let gone = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    error.is_remote() && (refused || gone)
}

/// The whole body and what stands behind it, if it is not too large.
pub(crate) async fn collected<R>(
    mut body: Arriving,
    bytes_max: usize,
) -> Result<(Bytes, Option<HeaderMap>), Fault<R>> {
    let (mut first, mut more, mut trailers) = (Bytes::new(), BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error, false))?;
        match frame.into_data() {
            Ok(data) if first.is_empty() && more.is_empty() => first = data,
            Ok(data) => {
                if more.is_empty() {
                    more.extend_from_slice(&first);
                }
                more.extend_from_slice(&data);
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
        if first.len().max(more.len()) > bytes_max {
            return Err(Fault::TooLarge(bytes_max));
        }
    }
    let whole = if more.is_empty() {
        first
    } else {
        more.freeze()
    };
    Ok((whole, trailers))
}

/// What a fault says of the dependency's health.
pub(crate) fn verdict_of<R>(fault: &Fault<R>, said: impl FnOnce(&R) -> Verdict) -> Verdict {
    match fault {
        Fault::Connect(_) | Fault::Broken { .. } => Verdict::Failure,
        Fault::Said(answer) => said(answer),
        Fault::TooLarge(_) | Fault::Malformed(_) => Verdict::Ignored,
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
        Fault::TooLarge(_) | Fault::Malformed(_) => Retryable::Never,
    }
}

/// The same as a metric's label.
pub(crate) fn label<R>(fault: &Fault<R>) -> &'static str {
    match fault {
        Fault::Connect(_) => "connect",
        Fault::Broken { unsent: true, .. } => "refused",
        Fault::Broken { .. } => "broken",
        Fault::Said(_) => "status",
        Fault::TooLarge(_) => "too_large",
        Fault::Malformed(_) => "malformed",
    }
}
