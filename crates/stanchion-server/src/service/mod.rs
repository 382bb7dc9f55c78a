//! One process: a list of modules, run until told to stop.

mod authenticate;
mod docs;
mod health;
mod issuers;
mod module;
mod mount;
mod probe;
mod routed;
mod settings;

pub(crate) use authenticate::Authenticator;
pub use authenticate::{Authenticate, AuthenticateError};
pub(crate) use docs::router as docs_router;
pub(crate) use health::{Health, State, is_health};
pub use issuers::only_for;
pub use module::Module;
pub(crate) use module::{Check, Closer, Worker};
pub(crate) use mount::{Listed, Mounts};
pub(crate) use routed::{Routed, set_endpoint};
pub(crate) use settings::Network;
pub use settings::{
    AdminSettings, ClientProof, CorsSettings, ForwardedBy, ServerSettings, TlsSettings, TlsVersion,
};

use std::fmt;
use std::sync::Arc;

use stanchion_auth::key::OperatedKeys;
use stanchion_auth::secret::Signer;
use stanchion_config::{ExposeSecret, SecretString};
use stanchion_eventsourcing::Subjects;
use stanchion_resilience::rate::{KeyLimit, RateSettings};
use stanchion_telemetry::Metrics;

use crate::InProcess;
use crate::admission::Counting;
use crate::lifecycle::Addresses;

/// Which part of the work this process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Requests only.
    Api,
    /// Workers only: relays, consumers, projections.
    Worker,
    /// Both.
    #[default]
    All,
}

type OnStarted = Box<dyn FnOnce(&Addresses) + Send>;

/// One process: modules, two ports, and the protocol by which it starts and stops.
///
/// ```no_run
/// use stanchion_server::{Module, ServerSettings, Service, Stopped};
///
/// #[tokio::main]
/// async fn main() -> Stopped {
///     let hello = axum::Router::new().route("/", axum::routing::get(|| async { "Hello!" }));
///     Service::new(ServerSettings::default()).mount(Module::new("hello").http_router(hello)).run().await
/// }
/// ```
pub struct Service {
    pub(crate) settings: ServerSettings,
    pub(crate) admin: Option<AdminSettings>,
    pub(crate) title: String,
    pub(crate) version: String,
    pub(crate) base: String,
    pub(crate) role: Role,
    pub(crate) modules: Vec<Module>,
    pub(crate) tokens: Option<Arc<dyn Authenticate>>,
    pub(crate) signer: Option<Arc<Signer>>,
    pub(crate) metrics: Metrics,
    pub(crate) counting: Option<Counting>,
    pub(crate) subjects: Option<Arc<dyn Subjects>>,
    pub(crate) keys: Option<Arc<dyn OperatedKeys>>,
    pub(crate) in_process: Option<InProcess>,
    pub(crate) closers: Vec<Closer>,
    pub(crate) on_started: Option<OnStarted>,
}

impl Service {
    /// A service without modules, with these settings and no admin port.
    #[must_use]
    pub fn new(settings: ServerSettings) -> Self {
        Self {
            settings,
            admin: None,
            title: "service".into(),
            version: "0.1.0".into(),
            base: "/api/v1".into(),
            role: Role::All,
            modules: Vec::new(),
            tokens: None,
            signer: None,
            metrics: Metrics::default(),
            counting: None,
            subjects: None,
            keys: None,
            in_process: None,
            closers: Vec::new(),
            on_started: None,
        }
    }

    /// Adds a module.
    #[must_use]
    pub fn mount(mut self, module: Module) -> Self {
        self.modules.push(module);
        self
    }

    /// Opens the operator's port as well.
    #[must_use]
    pub fn admin(mut self, settings: AdminSettings) -> Self {
        self.admin = Some(settings);
        self
    }

    /// What the OpenAPI document is headed by.
    #[must_use]
    pub fn titled(mut self, title: &str, version: &str) -> Self {
        (self.title, self.version) = (title.to_owned(), version.to_owned());
        self
    }

    /// What described routes are below; `/api/v1` unless given, empty for none.
    #[must_use]
    pub fn base_path(mut self, base: &str) -> Self {
        self.base = base.trim_end_matches('/').to_owned();
        self
    }

    /// Which part of the work it does.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Who bearer tokens speak for; without it every route that wants a caller answers 401.
    #[must_use]
    pub fn tokens(mut self, tokens: Arc<dyn Authenticate>) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Signs cursors and consistency tokens. Without it the settings' secret does, and without that
    /// one a random one of this process: tokens then end with it.
    #[must_use]
    pub fn signer(mut self, signer: Arc<Signer>) -> Self {
        self.signer = Some(signer);
        self
    }

    /// Where metrics are kept; those of the admin port's `/metrics`.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Who counts the rates of addresses and callers (`server.admission`) for all processes together: makes the limit of that
    /// name. Without it each process counts for itself and allows its part, by `server.admission.replicas`.
    #[must_use]
    pub fn rates(
        mut self,
        make: impl Fn(&str, &RateSettings) -> Arc<dyn KeyLimit> + Send + Sync + 'static,
    ) -> Self {
        self.counting = Some(Counting::by(make));
        self
    }

    /// The people in its data, for the operator: `/subjects` on the admin port, `subjects shred` and `subjects reseal` on
    /// the command line.
    #[must_use]
    pub fn subjects(mut self, subjects: Arc<dyn Subjects>) -> Self {
        self.subjects = Some(subjects);
        self
    }

    /// Its signing keys, for the operator: `/keys` on the admin port, `keys list`, `keys rotate` and `keys reseal` on the
    /// command line.
    #[must_use]
    pub fn keys(mut self, keys: Arc<dyn OperatedKeys>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Lets modules of this process call each other's gRPC services without the network.
    #[must_use]
    pub fn in_process(mut self, within: &InProcess) -> Self {
        self.in_process = Some(within.clone());
        self
    }

    /// Something to close at the very end, such as a pool or the telemetry's exporter.
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

    /// Called once it listens and its workers run: the place for a banner.
    #[must_use]
    pub fn on_started(mut self, tell: impl FnOnce(&Addresses) + Send + 'static) -> Self {
        self.on_started = Some(Box::new(tell));
        self
    }

    pub(crate) fn make_signer(&self) -> Result<Arc<Signer>, String> {
        if let Some(signer) = &self.signer {
            return Ok(signer.clone());
        }
        let made = || {
            let bytes = stanchion_runtime::random::bytes::<32>();
            SecretString::from(bytes.map(|byte| format!("{byte:02x}")).concat())
        };
        let secret = self.settings.secret.as_ref();
        let secret = secret.map_or_else(made, |secret| SecretString::from(secret.expose_secret()));
        Signer::new(&secret)
            .map(Arc::new)
            .map_err(|error| error.to_string())
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("modules", &self.modules)
            .finish_non_exhaustive()
    }
}
