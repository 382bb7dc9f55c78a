//! What carries messages between contexts: chosen by `broker.url`, here and nowhere else.

use std::sync::Arc;

use anyhow::bail;
use stanchion::eventsourcing::Relay;
use stanchion::messaging::{MemoryBroker, Publisher, Subscriber};
use stanchion::server::Module;

use crate::settings::BrokerSettings;
use crate::store::Store;

/// The URL that means: none, the modules' logs are read where they lie.
pub(crate) const MEMORY: &str = "memory:";

/// What this binary has adapters for: the schemes of their URLs.
pub(crate) const SCHEMES: [&str; 0] = [];

/// What carries messages.
pub(crate) enum Broker {
    /// Nothing does: consumers read the logs of all modules themselves.
    Memory(Arc<MemoryBroker>),
    /// A server.
    Outside(Outside),
}

/// Both ends of a broker outside of the process. Neither connects before it is used.
pub(crate) struct Outside {
    pub(crate) publisher: Arc<dyn Publisher>,
    pub(crate) subscriber: Arc<dyn Subscriber>,
}

impl Broker {
    /// As configured; nothing is connected yet.
    pub(crate) fn of(settings: &BrokerSettings) -> anyhow::Result<Self> {
        if settings.is_memory() {
            return Ok(Self::Memory(Arc::new(MemoryBroker::new())));
        }
        let scheme = settings.scheme();
        bail!("broker.url: this binary has no adapter for {scheme}:")
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
    fn announced(&self, module: Module, _relay: Relay, _store: &Store) -> Module {
        let publisher = Arc::clone(&self.publisher);
        module.degraded_unless("broker", move || {
            let publisher = Arc::clone(&publisher);
            async move {
                let answered = publisher.store_id().await;
                answered.map(drop).map_err(|error| error.to_string())
            }
        })
    }
}
