use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use stanchion_eventsourcing::{EventLog, OperatedProcess, OperatedProjection};
use stanchion_messaging::{ConsumerStore, Inbox, RelayStore};
use stanchion_resilience::Priority;
use stanchion_resilience::policy::Policy;
use tokio_util::sync::CancellationToken;

use crate::{Grpc, Routes};

/// How long a worker may take to stop unless it says otherwise.
const WORKER_STOP: Duration = Duration::from_secs(5);

/// Keys of requests are kept so long at least, and unless it is set otherwise: the API promises it.
const KEYS_KEPT_MIN: Duration = Duration::from_secs(24 * 3600);

/// Keys of handled messages are kept so long at least, and unless it is set otherwise.
const MESSAGES_KEPT_MIN: Duration = Duration::from_secs(7 * 24 * 3600);

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Run = Box<dyn FnOnce(CancellationToken) -> BoxFuture<()> + Send>;
type Ask = Arc<dyn Fn() -> BoxFuture<Result<(), String>> + Send + Sync>;
type Close = Box<dyn FnOnce() -> BoxFuture<()> + Send>;

/// What a context exports to a service: routes, workers, readiness checks.
///
/// ```
/// # use stanchion_server::{Module, Routes};
/// # async fn ping() -> Result<(), String> { Ok(()) }
/// let module = Module::new("orders")
///     .routes(Routes::new())
///     .worker("relay", |stop| async move { stop.cancelled().await })
///     .ready_when("database", ping);
/// ```
pub struct Module {
    pub(crate) name: &'static str,
    pub(crate) routes: Vec<Routes>,
    pub(crate) root_routes: Vec<Routes>,
    pub(crate) routers: Vec<axum::Router>,
    pub(crate) operator_routers: Vec<axum::Router>,
    pub(crate) grpc: Vec<Grpc>,
    pub(crate) priority: Priority,
    pub(crate) policies: Vec<Policy>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) checks: Vec<Check>,
    pub(crate) closers: Vec<Closer>,
    pub(crate) inbox: Option<Arc<dyn Inbox>>,
    pub(crate) keys_kept: Duration,
    pub(crate) messages_kept: Duration,
    pub(crate) dead_letters_kept: Option<Duration>,
    pub(crate) log: Option<Arc<dyn EventLog>>,
    pub(crate) consumers: Option<Arc<dyn ConsumerStore>>,
    pub(crate) relay: Option<Arc<dyn RelayStore>>,
    pub(crate) projections: Vec<Arc<dyn OperatedProjection>>,
    pub(crate) processes: Vec<Arc<dyn OperatedProcess>>,
}

/// Something that runs beside the requests until the service stops.
pub(crate) struct Worker {
    pub(crate) name: &'static str,
    pub(crate) stop_within: Duration,
    /// Also where only requests are served.
    pub(crate) in_every_role: bool,
    pub(crate) run: Run,
}

/// Something the module needs.
#[derive(Clone)]
pub(crate) struct Check {
    pub(crate) module: &'static str,
    pub(crate) name: Cow<'static, str>,
    /// Without it the module is not ready; otherwise it is degraded.
    pub(crate) required: bool,
    pub(crate) ask: Ask,
}

/// Something to be closed when everything else has ended.
pub(crate) struct Closer {
    pub(crate) name: &'static str,
    pub(crate) close: Close,
}

impl Worker {
    pub(crate) fn new<F, Fut>(name: &'static str, run: F) -> Self
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self {
            name,
            stop_within: WORKER_STOP,
            in_every_role: false,
            run: Box::new(move |stop| Box::pin(run(stop))),
        }
    }
}

impl Module {
    /// A module of that name: the tag of its operations, part of its consistency tokens.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            routes: Vec::new(),
            root_routes: Vec::new(),
            routers: Vec::new(),
            operator_routers: Vec::new(),
            grpc: Vec::new(),
            priority: Priority::Normal,
            policies: Vec::new(),
            workers: Vec::new(),
            checks: Vec::new(),
            closers: Vec::new(),
            inbox: None,
            keys_kept: KEYS_KEPT_MIN,
            messages_kept: MESSAGES_KEPT_MIN,
            dead_letters_kept: None,
            log: None,
            consumers: None,
            relay: None,
            projections: Vec::new(),
            processes: Vec::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Routes below the service's base path.
    #[must_use]
    pub fn routes(mut self, routes: Routes) -> Self {
        self.routes.push(routes);
        self
    }

    /// Routes outside the base path, such as `/.well-known/jwks.json`.
    #[must_use]
    pub fn root_routes(mut self, routes: Routes) -> Self {
        self.root_routes.push(routes);
        self
    }

    /// An ordinary axum router, mounted at the root as it is.
    ///
    /// It gets the stop protocol, limits, deadline, request ids, metrics, log lines and the panic
    /// guard. Its answers are left alone, its authorisation is its own, and OpenAPI does not know it.
    /// Their heads come within `request_timeout`; the messages of its gRPC calls end with the caller's `grpc-timeout`,
    /// and at the latest with `grpc_stream_timeout`.
    #[must_use]
    pub fn http_router(mut self, router: axum::Router) -> Self {
        self.routers.push(router);
        self
    }

    /// Routes for the operator, on the admin port alone and behind its guard: whoever may use the port may use them, and
    /// each call that changes something is an audit event. Their paths begin with a word of the module's own.
    #[must_use]
    pub fn operator_router(mut self, router: axum::Router) -> Self {
        self.operator_routers.push(router);
        self
    }

    /// A gRPC service, on the same port. With the first one come `grpc.health.v1` and `grpc.reflection.v1`.
    #[must_use]
    pub fn grpc(mut self, service: Grpc) -> Self {
        self.grpc.push(service);
        self
    }

    /// How much its requests matter under overload, routers included; routes and gRPC services that say so otherwise.
    /// `Normal` unless given.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The guard of something it calls, for the operator: `/debug/policies` on the admin port and `policies` on the
    /// command line show it, and force or reset its breaker; its gauges are refreshed before metrics are read.
    ///
    /// # Panics
    /// The module has one of that name.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        let name = policy.name();
        let taken = self.policies.iter().any(|other| other.name() == name);
        assert!(!taken, "two policies of {} are `{name}`", self.name);
        self.policies.push(policy);
        self
    }

    /// Something that runs until the token is cancelled; it then has 5 seconds before it is aborted.
    ///
    /// One that panics stops the service with a failure: half a service is worse than a restart.
    #[must_use]
    pub fn worker<F, Fut>(mut self, name: &'static str, run: F) -> Self
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.workers.push(Worker::new(name, run));
        self
    }

    /// A worker that runs where only requests are served as well: it keeps something of this very process up to date,
    /// such as keys.
    #[must_use]
    pub fn worker_in_every_role<F, Fut>(mut self, name: &'static str, run: F) -> Self
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.workers.push(Worker {
            in_every_role: true,
            ..Worker::new(name, run)
        });
        self
    }

    /// A worker with another time to stop in.
    #[must_use]
    pub fn worker_stopping_within<F, Fut>(
        mut self,
        stop_within: Duration,
        name: &'static str,
        run: F,
    ) -> Self
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.workers.push(Worker {
            stop_within,
            ..Worker::new(name, run)
        });
        self
    }

    /// What it cannot work without: the service is not ready while this fails.
    #[must_use]
    pub fn ready_when<F, Fut>(self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.check(name, true, check)
    }

    /// What it can do without for a while: the service is degraded, but ready, while this fails.
    #[must_use]
    pub fn degraded_unless<F, Fut>(self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.check(name, false, check)
    }

    /// Something to close when requests and workers have ended, in the order given.
    #[must_use]
    pub fn closer<F, Fut>(mut self, name: &'static str, close: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.closers.push(Closer {
            name,
            close: Box::new(move || Box::pin(close())),
        });
        self
    }

    /// Where requests with an idempotency key are claimed and answered from.
    #[must_use]
    pub fn inbox(mut self, inbox: Arc<dyn Inbox>) -> Self {
        self.inbox = Some(inbox);
        self
    }

    /// How long idempotency keys of requests are kept with their answers; 24 hours at least, which is the default.
    #[must_use]
    pub fn keys_kept(mut self, kept: Duration) -> Self {
        self.keys_kept = kept.max(KEYS_KEPT_MIN);
        self
    }

    /// How long dead letters wait for an operator before they are discarded, each with a warning in the log; for ever
    /// unless given. Messages of unknown contracts always wait.
    #[must_use]
    pub fn dead_letters_kept(mut self, kept: Duration) -> Self {
        self.dead_letters_kept = Some(kept);
        self
    }

    /// How long the keys of messages are kept after they were handled; 7 days at least, which is the default. Those that
    /// their consumers are not past, or have parked, are kept longer.
    #[must_use]
    pub fn messages_kept(mut self, kept: Duration) -> Self {
        self.messages_kept = kept.max(MESSAGES_KEPT_MIN);
        self
    }

    /// Its event log, for consistency tokens and the operator.
    #[must_use]
    pub fn log(mut self, log: Arc<dyn EventLog>) -> Self {
        self.log = Some(log);
        self
    }

    /// Its consumers' rows, for the operator's dead letters.
    #[must_use]
    pub fn consumers(mut self, consumers: Arc<dyn ConsumerStore>) -> Self {
        self.consumers = Some(consumers);
        self
    }

    /// The rows of the relay of its log, which has the module's name, where it announces to a broker: an operator may wish that
    /// entries be announced again.
    #[must_use]
    pub fn relay(mut self, relay: Arc<dyn RelayStore>) -> Self {
        self.relay = Some(relay);
        self
    }

    /// A projection, for the operator: status, pause, rebuild and verification on the admin port and the command
    /// line, and the check `projection/<name>` in `/ready`. What runs it is a [`worker`](Self::worker).
    ///
    /// # Panics
    /// The module has one of that name.
    #[must_use]
    pub fn projection(mut self, projection: Arc<dyn OperatedProjection>) -> Self {
        let name = projection.name();
        let taken = self.projections.iter().any(|other| other.name() == name);
        assert!(!taken, "two projections of {} are `{name}`", self.name);
        self.projections.push(Arc::clone(&projection));
        // Degraded, not unavailable: its lists are old, but all else works, and every replica has the same entry before
        // it. A balancer that took them all out would make an outage of it, and no restart mends it.
        self.check(format!("projection/{name}"), false, move || {
            let projection = Arc::clone(&projection);
            async move {
                match projection.halted().await? {
                    Some(reason) => Err(reason),
                    None => Ok(()),
                }
            }
        })
    }

    /// A process, for the operator: its instances with their history, pause, resume and restart, on the admin port and
    /// the command line. What runs it is a [`worker`](Self::worker).
    ///
    /// # Panics
    /// The module has one of that name.
    #[must_use]
    pub fn process(mut self, process: Arc<dyn OperatedProcess>) -> Self {
        let name = process.name();
        let taken = self.processes.iter().any(|other| other.name() == name);
        assert!(!taken, "two processes of {} are `{name}`", self.name);
        self.processes.push(process);
        self
    }

    fn check<F, Fut>(mut self, name: impl Into<Cow<'static, str>>, required: bool, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let ask: Ask = Arc::new(move || Box::pin(check()));
        self.checks.push(Check {
            module: self.name,
            name: name.into(),
            required,
            ask,
        });
        self
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
