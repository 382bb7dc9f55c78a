//! Puts the service together: the one place that knows every context, store and broker.

use std::sync::Arc;

use anyhow::Context;
use stanchion::eventsourcing::Relay;
use stanchion::messaging::{Forwarder, MemoryBroker, Publisher, Subscriber};
use stanchion::nats::NatsBroker;
use stanchion::server::{Migration, Module, Options, Purpose, Service, Stopped};
use stanchion::sql::{self, Mode, SqlRelayStore};
use stanchion::telemetry::{Metrics, Telemetry};

use crate::settings::{BrokerSettings, MEMORY, Settings};
use crate::store::Store;
use crate::tokens::Tokens;
// <contexts>
use crate::__context__;
// </contexts>

/// The contexts, in the order they are mounted.
pub(crate) const MODULES: &[&str] = &[
    // <names>
    "__context__",
    // </names>
];

/// Builds what this process is.
pub(crate) async fn build(
    settings: Settings,
    options: Options,
    telemetry: Telemetry,
) -> anyhow::Result<Service> {
    let metrics = telemetry.metrics().clone();
    let broker = Broker::of(&settings.broker, &metrics).await?;
    let tokens = Tokens::of(&settings, options.purpose == Purpose::Run)?;
    let mut service = Service::new(settings.server.clone())
        .titled("__service__", env!("CARGO_PKG_VERSION"))
        .admin(settings.admin.clone())
        .role(options.role)
        .tokens(Arc::new(tokens))
        .metrics(metrics.clone());
    // <modules>
    if options.wants("__context__") {
        let store = Store::open("__context__", __context__::migrations(), &settings, &options, broker.subscriber()).await?;
        store.db.register(&metrics);
        let relay = __context__::relay(Arc::clone(&store.log));
        let module = __context__::module(&store, &metrics);
        service = service.mount(broker.announced(module, relay, &store));
    }
    // </modules>
    Ok(service.closer("telemetry", move || telemetry.flush()))
}

/// `__service__ migrate`: what was asked, for each context's store; what it did, as text.
pub(crate) async fn migrate(options: Options, wish: Migration) -> Result<String, Stopped> {
    let settings = crate::load(&options)?.value;
    let mut lines = Vec::new();
    // <migrations>
    if options.wants("__context__") {
        let own = __context__::migrations();
        lines.push(migrated("__context__", &own, &settings, wish).await?);
    }
    // </migrations>
    Ok(lines.join("\n"))
}

async fn migrated(
    context: &str,
    own: &sql::Migrations,
    settings: &Settings,
    wish: Migration,
) -> Result<String, Stopped> {
    let failed = |error: &dyn std::fmt::Display| Stopped::Failed(format!("{context}: {error:#}"));
    let db = Store::connect(context, settings).await;
    let db = db.map_err(|error| failed(&error))?;
    let own = std::slice::from_ref(own);
    let done = match wish {
        Migration::Apply => sql::migrate(&db, own, Mode::Auto).await.map(|done| done.to_string()),
        Migration::Check => sql::migrate(&db, own, Mode::Check).await.map(|done| done.to_string()),
        Migration::Down(count) => {
            let undone = sql::migrate_down(&db, &own[0], count as usize).await;
            undone.map(|undone| format!("taken back {}", undone.join(", ")))
        }
    };
    db.close().await;
    let done = done.map_err(|error| failed(&error))?;
    Ok(format!("{context}: {done}"))
}

/// What carries messages: nothing, or NATS.
enum Broker {
    Memory(Arc<MemoryBroker>),
    Nats(Arc<NatsBroker>, Metrics),
}

impl Broker {
    /// As configured; nothing waits for a connection.
    async fn of(settings: &BrokerSettings, metrics: &Metrics) -> anyhow::Result<Self> {
        if settings.url == MEMORY {
            return Ok(Self::Memory(Arc::new(MemoryBroker::new())));
        }
        let mut own = settings.nats.clone();
        own.url = Some(settings.url.clone().into());
        let broker = NatsBroker::connect(&own, metrics).await.context("broker")?;
        Ok(Self::Nats(Arc::new(broker), metrics.clone()))
    }

    fn subscriber(&self) -> Arc<dyn Subscriber> {
        match self {
            Self::Memory(memory) => Arc::clone(memory) as Arc<dyn Subscriber>,
            Self::Nats(nats, _) => Arc::clone(nats) as Arc<dyn Subscriber>,
        }
    }

    /// The module with its way out: its log is read in this process, or forwarded to the broker.
    fn announced(&self, module: Module, relay: Relay, store: &Store) -> Module {
        match self {
            Self::Memory(memory) => {
                memory.register(Arc::new(relay));
                module
            }
            Self::Nats(nats, metrics) => forwarded(module, relay, store, nats, metrics),
        }
    }
}

fn forwarded(
    module: Module,
    relay: Relay,
    store: &Store,
    nats: &Arc<NatsBroker>,
    metrics: &Metrics,
) -> Module {
    let publisher = Arc::clone(nats) as Arc<dyn Publisher>;
    let rows = Arc::new(SqlRelayStore::new(store.db.clone()));
    let forwarder = Forwarder::new(Arc::new(relay), Arc::clone(&publisher), rows)
        .asked_through(Arc::clone(nats) as Arc<dyn Subscriber>)
        .metrics(metrics);
    let health = forwarder.health();
    module
        .worker("relay", |stop| forwarder.run(stop))
        .degraded_unless("relay", move || {
            let health = health.clone();
            async move { health.check() }
        })
        .degraded_unless("broker", move || {
            let publisher = Arc::clone(&publisher);
            async move {
                let answered = publisher.store_id().await;
                answered.map(drop).map_err(|error| error.to_string())
            }
        })
}
