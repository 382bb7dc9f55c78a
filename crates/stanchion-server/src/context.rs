//! What is known of the request being served.

use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, Method, Request};
use parking_lot::Mutex;
use stanchion_auth::Principal;
use stanchion_auth::secret::Signer;
use stanchion_messaging::{Inbox, LogId};
use stanchion_resilience::Priority;
use stanchion_resilience::origin::{self, Origin};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::accept::Accept;
use crate::admission::{Admission, Permit};
use crate::grpc::Fresh;
use crate::metrics::{Counting, ServerMetrics};
use crate::present::{Present, Sought};
use crate::request_id::RequestId;
use crate::stack::Seat;
use crate::{Access, Problem};

/// The most gRPC streams at once that anyone may open (health, reflection): whoever is not known does not take the
/// places that callers wait in.
pub(crate) const PUBLIC_STREAMS_MAX: usize = 64;

tokio::task_local! {
    static CURRENT: Arc<Context>;
}

/// The request being served: its id, caller, deadline, and what the service lends it.
///
/// It is a request extension, and while the request is served also current to its task, so that
/// answers are rendered and calls to others made on its behalf without handing it through.
#[derive(Debug)]
pub struct Context {
    pub(crate) request_id: RequestId,
    pub(crate) started: Instant,
    /// When the head of its answer was there, where admission asked the clock.
    pub(crate) answered: OnceLock<Instant>,
    pub(crate) accept: Accept,
    /// Of the head as it arrived.
    pub(crate) present: Present,
    pub(crate) method: Method,
    pub(crate) remote: Option<IpAddr>,
    pub(crate) if_none_match: Option<String>,
    pub(crate) lent: Arc<Lent>,
    pub(crate) endpoint: OnceLock<Arc<str>>,
    pub(crate) module: OnceLock<Arc<ModuleParts>>,
    pub(crate) principal: OnceLock<Principal>,
    pub(crate) deadline: OnceLock<Instant>,
    pub(crate) permit: Mutex<Option<Permit>>,
    /// It was made within another request of this process, whose place it inherits.
    pub(crate) is_inner: bool,
    /// Whether policies were asked about an object.
    pub(crate) asked: AtomicBool,
    /// A call that it needed was tried again and given up all the same.
    gave_up: AtomicBool,
    /// The preference that was honoured, as `Preference-Applied` tells it.
    pub(crate) preference: OnceLock<String>,
    /// In the table of requests being served.
    pub(crate) seat: Seat,
    /// Whoever sends its answer takes it out of that table.
    pub(crate) ends_by_itself: AtomicBool,
}

/// What the service lends every request.
#[derive(Debug)]
pub(crate) struct Lent {
    /// Signs cursors and consistency tokens.
    pub(crate) signer: Arc<Signer>,
    /// Cancelled when a stop begins.
    pub(crate) stopping: CancellationToken,
    /// gRPC calls that have just begun to be answered.
    pub(crate) fresh_calls: Arc<Fresh>,
    /// Counts those that wait.
    pub(crate) metrics: ServerMetrics,
    /// Lets requests in.
    pub(crate) admission: Arc<Admission>,
    /// One permit for each request that waits for something to happen.
    pub(crate) waiting: Arc<Semaphore>,
    /// One permit for each gRPC stream that anyone may open.
    pub(crate) public_streams: Arc<Semaphore>,
    /// How long an event stream may last.
    pub(crate) event_stream_timeout: Duration,
}

/// What a module lends the requests to its routes.
pub(crate) struct ModuleParts {
    pub(crate) name: &'static str,
    pub(crate) base: String,
    /// Of its requests, unless a route says otherwise.
    pub(crate) priority: Priority,
    pub(crate) inbox: Option<Arc<dyn Inbox>>,
    pub(crate) log: Option<LogId>,
}

impl std::fmt::Debug for ModuleParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ModuleParts({})", self.name)
    }
}

/// A request's place among those that wait.
#[derive(Debug)]
pub(crate) struct Waiting {
    _place: OwnedSemaphorePermit,
    _counting: Counting,
}

impl Context {
    pub(crate) fn new<B>(
        request_id: RequestId,
        request: &Request<B>,
        lent: Arc<Lent>,
        remote: Option<IpAddr>,
        present: Present,
    ) -> Self {
        let if_none_match = present.has(Sought::IfNoneMatch);
        Self {
            request_id,
            method: request.method().clone(),
            remote,
            started: Instant::now(),
            answered: OnceLock::new(),
            accept: Accept::of(request.headers(), present),
            present,
            if_none_match: if_none_match
                .then(|| header_text(request.headers(), http::header::IF_NONE_MATCH))
                .flatten(),
            lent,
            endpoint: OnceLock::new(),
            module: OnceLock::new(),
            principal: OnceLock::new(),
            deadline: OnceLock::new(),
            permit: Mutex::new(None),
            is_inner: CURRENT.try_with(|_| ()).is_ok(),
            asked: AtomicBool::new(false),
            gave_up: AtomicBool::new(false),
            preference: OnceLock::new(),
            seat: Seat::default(),
            ends_by_itself: AtomicBool::new(false),
        }
    }

    /// Policies were asked about an object of this request.
    pub(crate) fn policies_asked(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether a call on its behalf was tried again and given up: if it fails, nobody should try it once more.
    pub(crate) fn has_given_up(&self) -> bool {
        self.gave_up.load(Ordering::Relaxed)
    }

    /// Whether an answer must be withheld: the operation is about a guarded object, and nobody asked about it.
    pub(crate) fn is_unasked(&self, access: Access) -> bool {
        matches!(access, Access::Guarded(_)) && !self.asked.load(Ordering::Relaxed)
    }

    /// The request that the current task serves, if it serves one.
    #[must_use]
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Runs `work` as part of this request.
    pub async fn scope<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        let origin = Arc::clone(&self) as Arc<dyn Origin>;
        CURRENT.scope(self, origin::scope(origin, work)).await
    }

    /// Runs `work` as part of this request.
    pub(crate) fn enter<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        let origin = Arc::clone(self) as Arc<dyn Origin>;
        CURRENT.sync_scope(Arc::clone(self), || origin::enter(origin, work))
    }

    /// The request's id: taken over from the caller or made.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Who calls, once that is known.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.get()
    }

    /// The template of the route, once it is known.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.get().map(AsRef::as_ref)
    }

    /// When the request must be answered.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.get().copied()
    }

    /// The time left, zero when it is over, `None` without a deadline.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let deadline = self.deadline()?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Cancelled when the service begins to stop: waiting work then answers as it stands, and who has made another protocol
    /// of the connection says goodbye in it. What goes on is cut off when `server.drain` is over.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.lent.stopping
    }

    pub(crate) fn module_name(&self) -> &'static str {
        self.module.get().map_or("", |module| module.name)
    }

    /// The client's address, as far as proxies that are trusted tell it.
    #[must_use]
    pub fn remote(&self) -> Option<IpAddr> {
        self.remote
    }

    pub(crate) fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    /// How long it took to the head of its answer, which is there.
    pub(crate) fn took(&self) -> Duration {
        let answered = self.answered.get().copied();
        let answered = answered.unwrap_or_else(Instant::now);
        answered.saturating_duration_since(self.started)
    }

    /// Gives the admission permit back: the request waits now, it does not work. `None` when as
    /// many wait as may.
    pub(crate) fn begin_waiting(&self) -> Option<Waiting> {
        self.begin(&self.lent.waiting, "waiting")
    }

    /// Likewise, for a gRPC stream that anyone may open: of those are [`PUBLIC_STREAMS_MAX`].
    pub(crate) fn begin_public_stream(&self) -> Option<Waiting> {
        self.begin(&self.lent.public_streams, "public_streams")
    }

    fn begin(&self, places: &Arc<Semaphore>, bound: &'static str) -> Option<Waiting> {
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            self.lent.metrics.shed(bound);
            return None;
        };
        if let Some(permit) = self.permit.lock().take() {
            permit.give_back();
        }
        Some(Waiting {
            _place: place,
            _counting: self.lent.metrics.waiting(),
        })
    }

    pub(crate) fn of(parts: &Parts) -> Result<Arc<Self>, Problem> {
        parts.extensions.get::<Arc<Self>>().cloned().ok_or_else(|| {
            Problem::internal("the route is not mounted in a Service: mount it with Module::routes")
        })
    }
}

/// What calls to others pass on: when the answer must be there, and the request's id.
impl Origin for Context {
    fn deadline(&self) -> stanchion_resilience::deadline::Deadline {
        use stanchion_resilience::deadline::Deadline;
        Context::deadline(self).map_or(Deadline::NONE, |end| Deadline::at(end.into()))
    }

    fn request_id(&self) -> Option<&str> {
        Some(&self.request_id)
    }

    fn gave_up(&self) {
        self.gave_up.store(true, Ordering::Relaxed);
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Context::of(parts).map(Self)
    }
}

/// Extracts the [`Context`].
#[derive(Clone, Debug)]
pub struct RequestContext(pub Arc<Context>);

impl std::ops::Deref for RequestContext {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.0
    }
}

/// A header as text; one that is no visible text counts as absent.
pub(crate) fn header_text(headers: &HeaderMap, name: http::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
impl Lent {
    /// As of a service with nothing else.
    pub(crate) fn alone() -> Arc<Self> {
        let metrics = stanchion_telemetry::Metrics::default();
        let server = ServerMetrics::new(&metrics);
        let settings = crate::AdmissionSettings::default();
        let admission = Admission::new(&settings, 10, &metrics, server.clone(), None);
        let secret = stanchion_config::SecretString::from("x".repeat(32));
        Arc::new(Self {
            signer: Arc::new(Signer::new(&secret).unwrap()),
            stopping: CancellationToken::new(),
            fresh_calls: Arc::default(),
            metrics: server,
            admission: Arc::new(admission),
            waiting: Arc::new(Semaphore::new(8)),
            public_streams: Arc::new(Semaphore::new(8)),
            event_stream_timeout: Duration::from_secs(1),
        })
    }
}
