//! Everything the shop can be told: see `shop config --default`.

mod checks;
mod consumers;
mod identity;

use std::path::PathBuf;
use std::time::Duration;

use stanchion::client::ClientSettings;
use stanchion::config::{SecretString, choice, settings};
use stanchion::kafka::KafkaSettings;
use stanchion::nats::NatsSettings;
use stanchion::rabbitmq::RabbitMqSettings;
use stanchion::redis::cache::CacheTierSettings;
use stanchion::server::{AdminSettings, ServerSettings};
use stanchion::telemetry::TelemetrySettings;

use crate::broker::MEMORY;
use crate::platform::{MODULES, own_database};
use checks::check_environment;
use consumers::ConsumersSettings;
use identity::IdentitySettings;

/// The gateway URL that means: one of our own, started with the shop.
pub(crate) const SANDBOX: &str = "sandbox:";

choice! {
    /// Where the shop runs.
    pub(crate) enum Environment {
        /// A developer's machine.
        Dev = "dev",
        /// As in production, with nobody's money.
        Staging = "staging",
        /// Customers depend on it.
        Prod = "prod",
    }
}

choice! {
    /// What happens to the schema at start.
    pub(crate) enum Migrate {
        /// Missing migrations are applied.
        Auto = "auto",
        /// A missing migration stops the start.
        Check = "check",
    }
}

settings! {
    /// Everything the shop can be told.
    pub(crate) struct ShopSettings {
        /// Where it runs: dev, staging or prod. Prod refuses what only suits a first look.
        pub(crate) environment: Environment = Environment::Dev,
        /// Where and how it listens.
        pub(crate) server: ServerSettings = section,
        /// The operator's port.
        pub(crate) admin: AdminSettings = section,
        /// Where state is kept.
        pub(crate) database: DatabaseSection = section,
        /// What carries messages between contexts.
        pub(crate) broker: BrokerSettings = section,
        /// What consumers take on, and how they try again.
        pub(crate) consumers: ConsumersSettings = section,
        /// What keeps copies near.
        pub(crate) cache: CacheSection = section,
        /// Access tokens.
        pub(crate) auth: AuthSettings = section,
        /// Who may do what with single objects.
        pub(crate) policy: PolicySettings = section,
        /// Personal data: what is about a customer is sealed with a key of the customer's.
        pub(crate) personal: PersonalSettings = section,
        /// How long what grows is kept.
        pub(crate) retention: RetentionSettings = section,
        /// Logs, metrics and traces.
        pub(crate) telemetry: TelemetrySettings = section,
        /// Users, sessions and keys.
        pub(crate) identity: IdentitySettings = section,
        /// Products and stock.
        pub(crate) inventory: InventorySettings = section,
        /// Orders and their fulfilment.
        pub(crate) orders: OrdersSettings = section,
        /// Payments and the gateway.
        pub(crate) payments: PaymentsSettings = section,
    }
    check = check_environment;
}

settings! {
    /// Where state is kept.
    pub(crate) struct DatabaseSection {
        /// sqlite://DIR keeps a file a module, postgres://… a schema a module.
        pub(crate) url: String = "sqlite://data",
        /// What happens to missing migrations; auto on SQLite, check on PostgreSQL unless given.
        pub(crate) migrate: Option<Migrate> = unset,
        /// Longest run of one statement.
        #[range("10ms"..="10m")]
        pub(crate) statement_timeout: Duration = "5s",
        /// PostgreSQL: most open connections of all modules together: their pools, a writer for each one's log, a listener.
        #[range(13..=1000)]
        pub(crate) connections_max: usize = 25,
    }
}

settings! {
    /// What carries messages between contexts.
    pub(crate) struct BrokerSettings {
        /// memory: carries them within this process, from the modules' logs, and needs all modules' stores here. nats:// and
        /// tls+nats:// name a NATS with JetStream (2.9 or later; a message has at most its max_payload, 1 MiB unless
        /// configured); amqp:// and amqps:// a RabbitMQ (3.10 or later; 16 queues a group of consumers); kafka://host:port,…
        /// some brokers of a Kafka (experimental; TLS by kafka.tls). What is larger than the broker takes is a dead letter.
        /// Passwords are better in the section of the broker, or its _FILE.
        pub(crate) url: String = "memory:",
        /// How long the lease of a context's relay lasts; renewed three times in it. After a crash of its holder nobody
        /// announces for so long at most.
        #[range("1s"..="5m")]
        pub(crate) relay_lease: Duration = "5s",
        /// How NATS is used; its url is the one above.
        pub(crate) nats: NatsSettings = section,
        /// How RabbitMQ is used; its url is the one above.
        pub(crate) rabbitmq: RabbitMqSettings = section,
        /// How Kafka is used, experimental; its brokers are those above.
        pub(crate) kafka: KafkaSettings = section,
    }
}

impl BrokerSettings {
    /// Whether the modules' logs are all there is.
    pub(crate) fn is_memory(&self) -> bool {
        self.url == MEMORY
    }

    /// What the URL begins with, without the colon.
    pub(crate) fn scheme(&self) -> &str {
        self.url.split(':').next().unwrap_or_default()
    }
}

settings! {
    /// What keeps copies near, and counts how often somebody may try.
    pub(crate) struct CacheSection {
        /// memory: keeps and counts in this process alone; redis:// and rediss:// name a Redis (6 or later) or Valkey that
        /// processes share. The shop does without it for as long as it takes. A password is better in the _FILE of this key.
        pub(crate) url: String = "memory:",
        /// What its keys begin with there; shops of the same prefix are one.
        pub(crate) prefix: String = "shop",
        /// Products kept in this process; beyond, the least used go.
        #[range(1..=1000000)]
        pub(crate) entries_max: u32 = 10000,
        /// How long a copy counts, give or take a tenth, should nobody tell of a change.
        #[range("100ms"..="1h")]
        pub(crate) ttl: Duration = "1m",
        /// How Redis is used; its url and prefix are those above.
        pub(crate) tier: CacheTierSettings = section,
    }
}

impl CacheSection {
    /// Whether every process is by itself.
    pub(crate) fn is_memory(&self) -> bool {
        self.url == MEMORY
    }
}

settings! {
    /// Access tokens.
    pub(crate) struct AuthSettings {
        /// Who issues them; the public URL unless given.
        pub(crate) issuer: Option<String> = unset,
        /// How long one lives.
        #[range("1s"..="24h")]
        pub(crate) access_token_life: Duration = "15m",
    }
}

settings! {
    /// Who may do what with single objects.
    pub(crate) struct PolicySettings {
        /// A policy file in place of the one that is shipped (`shop policy shipped` prints that); read and checked at start.
        pub(crate) file: Option<PathBuf> = unset,
    }
}

settings! {
    /// Personal data: what is about a customer is sealed with a key of the customer's.
    pub(crate) struct PersonalSettings {
        /// Seals the customers' keys: 32 random bytes in base64; made and kept beside an embedded store unless given.
        pub(crate) master_key: Option<SecretString> = unset,
        /// Opens what it sealed: the next master key before a change, the last one until everything is resealed.
        pub(crate) other_master_key: Option<SecretString> = unset,
    }
}

settings! {
    /// How long what grows is kept: docs/guide/retention.md has the whole table.
    pub(crate) struct RetentionSettings {
        /// Idempotency keys of requests, with their answers; the API promises a day.
        #[range("24h"..="365d")]
        pub(crate) idempotency_keys: Duration = "24h",
        /// Ids of messages that were dealt with; longer where their consumer is not past them.
        #[range("7d"..="3650d")]
        pub(crate) messages: Duration = "7d",
        /// Dead letters that no operator wanted; for ever unless given.
        #[range("24h"..="3650d")]
        pub(crate) dead_letters: Option<Duration> = unset,
        /// Sessions that have ended, so that a late reuse of their tokens is still told from a random one.
        #[range("1h"..="3650d")]
        pub(crate) ended_sessions: Duration = "7d",
    }
}

settings! {
    /// Products and stock.
    pub(crate) struct InventorySettings {
        /// Where it runs, if not in this process: a URL that orders asks for prices, over gRPC.
        pub(crate) endpoint: Option<String> = unset,
        /// How it is called there.
        pub(crate) client: ClientSettings = section,
        /// A store of its own.
        pub(crate) database: ModuleDatabase = section,
    }
}

settings! {
    /// Orders and their fulfilment.
    pub(crate) struct OrdersSettings {
        /// How long stock and payment may take for one step before an order is given up.
        #[range("100ms"..="1h")]
        pub(crate) step_timeout: Duration = "60s",
        /// A store of its own.
        pub(crate) database: ModuleDatabase = section,
    }
}

settings! {
    /// Payments and the gateway.
    pub(crate) struct PaymentsSettings {
        /// sandbox: starts a small gateway of our own; otherwise a URL that speaks Stripe's PaymentIntents.
        pub(crate) gateway_url: String = "sandbox:",
        /// The key sent to it.
        pub(crate) gateway_key: Option<SecretString> = unset,
        /// How it is called: policy, connections, TLS.
        pub(crate) gateway: ClientSettings = section,
        /// What it signs webhooks with.
        pub(crate) webhook_secret: Option<SecretString> = unset,
        /// Where the sandbox delivers webhooks; to this process, wherever it listens, unless given.
        pub(crate) webhook_url: Option<String> = unset,
        /// A store of its own.
        pub(crate) database: ModuleDatabase = section,
    }
}

settings! {
    /// Where one module keeps its state.
    pub(crate) struct ModuleDatabase {
        /// As database.url, for this module alone.
        pub(crate) url: Option<String> = unset,
    }
}

impl ShopSettings {
    /// The folder of an embedded store, where secrets and the sandbox's state are kept too.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        self.database
            .url
            .strip_prefix("sqlite://")
            .map(PathBuf::from)
    }

    /// Whether processes with some modules each can work together without a broker: they hear of each other by what all
    /// of them can read.
    pub(crate) fn can_be_split(&self) -> bool {
        self.environment != Environment::Prod && !self.is_embedded(|_| true)
    }

    /// Whether one of these modules has a store that belongs to one process.
    pub(crate) fn is_embedded(&self, wanted: impl Fn(&str) -> bool) -> bool {
        let wanted = MODULES.into_iter().filter(|module| wanted(module));
        let mut urls = wanted.map(|module| {
            let own = own_database(self, module).url.as_ref();
            own.unwrap_or(&self.database.url)
        });
        urls.any(|url| !url.starts_with("postgres"))
    }

    /// Whether it was configured to begin with products for a first look, unless told otherwise.
    pub(crate) fn wants_demo(&self) -> bool {
        self.environment != Environment::Prod
    }

    /// Who issues tokens.
    pub(crate) fn issuer(&self) -> String {
        let listen = self.server.listen;
        self.auth
            .issuer
            .clone()
            .unwrap_or_else(|| format!("{}://{listen}", self.server.tls.scheme()))
    }
}
