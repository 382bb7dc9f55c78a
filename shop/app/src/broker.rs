//! What carries messages between contexts: chosen by `broker.url`, here and nowhere else.

use std::sync::Arc;

use anyhow::{Context, bail};
use stanchion::eventsourcing::Relay;
use stanchion::kafka::KafkaBroker;
use stanchion::messaging::{
    Forwarder, MemoryBroker, Publisher, RelayLimits, RelayStore, Subscriber,
};
use stanchion::nats::NatsBroker;
use stanchion::rabbitmq::RabbitMq;
use stanchion::server::Module;
use stanchion::sql::SqlRelayStore;
use stanchion::telemetry::Metrics;

use crate::settings::BrokerSettings;
use crate::store::Store;

/// The URL that means: none, the modules' logs are read where they lie.
pub(crate) const MEMORY: &str = "memory:";

/// What this binary has adapters for: the schemes of their URLs.
pub(crate) const SCHEMES: [&str; 5] = ["nats", "tls+nats", "amqp", "amqps", "kafka"];

/// What carries messages.
pub(crate) enum Broker {
    /// Nothing does: consumers read the logs of all modules themselves.
    Memory(Arc<MemoryBroker>),
    /// A server.
    Outside(Outside),
}

/// Both ends of a broker outside of the process. A service starts without it, too.
pub(crate) struct Outside {
    publisher: Arc<dyn Publisher>,
    subscriber: Arc<dyn Subscriber>,
    limits: RelayLimits,
    metrics: Metrics,
}

impl Broker {
    /// As configured; nothing waits for a connection.
    pub(crate) async fn of(settings: &BrokerSettings, metrics: &Metrics) -> anyhow::Result<Self> {
        match settings.scheme() {
            "memory" => Ok(Self::Memory(Arc::new(MemoryBroker::new()))),
            "nats" | "tls+nats" => {
                let mut own = settings.nats.clone();
                let url = settings.url.replacen("tls+nats://", "tls://", 1);
                own.url = Some(url.into());
                let broker = NatsBroker::connect(&own, metrics).await;
                let broker = Arc::new(broker.context("broker")?);
                Ok(Self::outside(settings, broker.clone(), broker, metrics))
            }
            "amqp" | "amqps" => {
                let mut own = settings.rabbitmq.clone();
                own.url = Some(settings.url.clone().into());
                let broker = Arc::new(RabbitMq::open(&own, metrics).context("broker")?);
                Ok(Self::outside(settings, broker.clone(), broker, metrics))
            }
            "kafka" => {
                let mut own = settings.kafka.clone();
                own.brokers = settings.url.strip_prefix("kafka://").map(str::to_owned);
                let broker = Arc::new(KafkaBroker::open(&own, metrics).context("broker")?);
                Ok(Self::outside(settings, broker.clone(), broker, metrics))
            }
            scheme => bail!("broker.url: this binary has no adapter for {scheme}:"),
        }
    }

    fn outside(
        settings: &BrokerSettings,
        publisher: Arc<dyn Publisher>,
        subscriber: Arc<dyn Subscriber>,
        metrics: &Metrics,
    ) -> Self {
        Self::Outside(Outside {
            publisher,
            subscriber,
            limits: RelayLimits {
                lease: settings.relay_lease,
                ..RelayLimits::default()
            },
            metrics: metrics.clone(),
        })
    }

    /// Whether messages leave the stores only by a server: a process then needs no store but its modules' own.
    pub(crate) fn is_outside(&self) -> bool {
        matches!(self, Self::Outside(_))
    }

    pub(crate) fn subscriber(&self) -> Arc<dyn Subscriber> {
        match self {
            Self::Memory(memory) => Arc::clone(memory) as Arc<dyn Subscriber>,
            Self::Outside(outside) => Arc::clone(&outside.subscriber),
        }
    }

    /// Where consumers ask for what it lost; a log loses nothing.
    pub(crate) fn publisher(&self) -> Option<Arc<dyn Publisher>> {
        match self {
            Self::Memory(_) => None,
            Self::Outside(outside) => Some(Arc::clone(&outside.publisher)),
        }
    }

    /// Hears what a context announces whose module runs in another process.
    pub(crate) fn overhear(&self, relay: Relay) {
        if let Self::Memory(memory) = self {
            memory.register(Arc::new(relay));
        }
    }

    /// The module with its way out: its log is read by consumers, or forwarded to the broker by one process at a time.
    pub(crate) fn announced(&self, module: Module, relay: Relay, store: &Store) -> Module {
        match self {
            Self::Memory(memory) => {
                memory.register(Arc::new(relay));
                module
            }
            Self::Outside(outside) => outside.announced(module, relay, store),
        }
    }
}

impl Outside {
    fn announced(&self, module: Module, relay: Relay, store: &Store) -> Module {
        let publisher = Arc::clone(&self.publisher);
        let rows = Arc::new(SqlRelayStore::new(store.db.clone()));
        let wishes = Arc::clone(&rows) as Arc<dyn RelayStore>;
        let forwarder = Forwarder::new(Arc::new(relay), Arc::clone(&publisher), rows)
            .asked_through(Arc::clone(&self.subscriber))
            .limits(self.limits.clone())
            .metrics(&self.metrics);
        let health = forwarder.health();
        module
            .relay(wishes)
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
}
