//! Everything the shop can be told: see `shop config --default`.

use std::path::PathBuf;
use std::time::Duration;

use shop_identity::AttemptSettings;
use stanchion::auth::key::SigningAlgorithm;
use stanchion::auth::password::Pepper;
use stanchion::client::ClientSettings;
use stanchion::config::{Checks, SecretString, choice, settings};
use stanchion::eventsourcing::SealingKey;
use stanchion::kafka::KafkaSettings;
use stanchion::mail::{self, MailSettings};
use stanchion::nats::NatsSettings;
use stanchion::rabbitmq::RabbitMqSettings;
use stanchion::redis::cache::CacheTierSettings;
use stanchion::server::{AdminSettings, ServerSettings};
use stanchion::telemetry::TelemetrySettings;

use crate::broker::{MEMORY, SCHEMES};
use crate::platform::{MODULES, own_database};

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

choice! {
    /// What access tokens are signed with.
    pub(crate) enum SignWith {
        /// Ed25519.
        EdDsa = "EdDSA",
        /// ECDSA on P-256, for verifiers that lack Ed25519.
        Es256 = "ES256",
        /// RSA of 2048 bits, for verifiers that know nothing else.
        Rs256 = "RS256",
    }
}

impl From<SignWith> for SigningAlgorithm {
    fn from(with: SignWith) -> Self {
        match with {
            SignWith::EdDsa => Self::EdDsa,
            SignWith::Es256 => Self::Es256,
            SignWith::Rs256 => Self::Rs256,
        }
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
    /// Users, sessions and keys.
    pub(crate) struct IdentitySettings {
        /// Where it runs, if not in this process: a URL that is asked for signing keys, sessions and customers' keys, over gRPC.
        pub(crate) endpoint: Option<String> = unset,
        /// How it is called there.
        pub(crate) client: ClientSettings = section,
        /// Password of the first administrator; made and shown once unless given.
        pub(crate) admin_password: Option<SecretString> = unset,
        /// Seals the signing keys; made and kept beside an embedded store unless given.
        pub(crate) key_encryption_key: Option<SecretString> = unset,
        /// A vault to read that key from instead.
        pub(crate) vault: VaultSettings = section,
        /// Opens what it sealed: the next key before a change, the last one until `shop keys reseal` is done.
        pub(crate) other_key_encryption_key: Option<SecretString> = unset,
        /// What access tokens are signed with: EdDSA, ES256 or RS256. A change is a rotation: tokens of the former keys live out.
        pub(crate) signing_algorithm: SignWith = SignWith::EdDsa,
        /// How long a session lives that nobody uses.
        #[range("1m"..="365d")]
        pub(crate) session_idle: Duration = "7d",
        /// How long a session lives at most.
        #[range("1m"..="365d")]
        pub(crate) session_life: Duration = "30d",
        /// For how long a refresh token that was just used is answered with the same new one again, for clients that use one
        /// twice at once or lose an answer; at 0s the second use of a token ends its session.
        #[range("0s"..="10s")]
        pub(crate) refresh_overlap: Duration = "0s",
        /// How often somebody may try to get in.
        pub(crate) attempts: AttemptSettings = section,
        /// Memory of one password hash in KiB; less than the default only for tests.
        #[range(8..=65536)]
        pub(crate) hash_memory_kib: u32 = 19456,
        /// Mixed into passwords before they are hashed, and kept apart from the database and its backups: 32 random bytes
        /// in base64, openssl rand -base64 32. Each login moves its user's hash to it. Who loses it loses the passwords.
        pub(crate) password_pepper: Option<SecretString> = unset,
        /// The pepper before it, until its last user has logged in; to go back to none, set this one alone.
        pub(crate) other_password_pepper: Option<SecretString> = unset,
        /// How mails are sent: proofs of addresses, new passwords. Into files beside an embedded store unless a url is given;
        /// not at all with PostgreSQL and no url.
        pub(crate) mail: MailSettings = section,
        /// Where the mails' links lead.
        pub(crate) pages: PageSettings = section,
        /// A store of its own.
        pub(crate) database: ModuleDatabase = section,
    }
}

settings! {
    /// A secret in HashiCorp Vault or OpenBao: one field of a secret of a KV engine, version 2.
    pub(crate) struct VaultSettings {
        /// Where it is: https://HOST:PORT/MOUNT/PATH#FIELD.
        pub(crate) place: Option<String> = unset,
        /// What it is read with, once at start.
        pub(crate) token: Option<SecretString> = unset,
        /// How the vault is called.
        pub(crate) client: ClientSettings = section,
    }
}

settings! {
    /// Pages of your front end, each with {token} where the token goes: behind a # it stays out of logs.
    pub(crate) struct PageSettings {
        /// Where an address is proved, https://shop.example/verify#token={token}; a mail shows the token alone unless given.
        pub(crate) verification: Option<String> = unset,
        /// Where a new password is chosen, likewise.
        pub(crate) reset: Option<String> = unset,
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

/// What suits a first look does not suit customers.
fn check_environment(settings: &ShopSettings, checks: &mut Checks<'_>) {
    if !settings.broker.is_memory() && !SCHEMES.contains(&settings.broker.scheme()) {
        let mend = "memory:, or a URL that begins with nats:, tls+nats:, amqp:, amqps: or kafka:";
        checks.refuse("broker.url", "this binary has no adapter for it", mend);
    }
    let cache = &settings.cache;
    let is_redis = ["redis://", "rediss://"].map(|scheme| cache.url.starts_with(scheme));
    if !cache.is_memory() && !is_redis.contains(&true) {
        let mend = "memory:, or a URL that begins with redis:// or rediss://";
        checks.refuse("cache.url", "this binary has no adapter for it", mend);
    }
    let gateway = &settings.payments.gateway_url;
    if gateway != SANDBOX && settings.payments.gateway_key.is_none() {
        checks.refuse(
            "payments.gateway_key",
            "a gateway wants a key",
            "set it, or its _FILE",
        );
    }
    let untold = settings.payments.webhook_url.is_none();
    if settings.server.tls.is_on() && gateway == SANDBOX && untold {
        let mend =
            "set a URL whose certificate the sandbox can verify, or the URL of a real gateway";
        checks.refuse(
            "payments.webhook_url",
            "the sandbox would not trust this port's TLS",
            mend,
        );
    }
    check_master_keys(&settings.personal, checks);
    check_identity(settings, checks);
    if settings.environment != Environment::Prod {
        return;
    }
    if settings.personal.master_key.is_none() {
        let mend = "make one with `openssl rand -base64 32`, keep it apart from the database and its backups, and set \
                    personal.master_key, or better its _FILE";
        let what = "prod does not keep the master key of personal data beside them";
        checks.refuse("personal.master_key", what, mend);
    }
    if gateway == SANDBOX {
        let mend = "set the URL of the real one";
        checks.refuse(
            "payments.gateway_url",
            "prod does not take money from a sandbox",
            mend,
        );
    }
    if settings.identity.admin_password.is_none() {
        let mend = "set it, or better its _FILE";
        checks.refuse(
            "identity.admin_password",
            "prod wants the first password to be chosen",
            mend,
        );
    }
    let public = !settings.server.listen.ip().is_loopback();
    if public && !settings.server.behind_proxy && !settings.server.tls.is_on() {
        let mend = "set server.tls.certificate and key, or put a proxy with TLS in front and set server.behind_proxy = true";
        checks.refuse("server.listen", "a public address without TLS", mend);
    }
}

/// Peppers, mail and pages that cannot be used.
fn check_identity(settings: &ShopSettings, checks: &mut Checks<'_>) {
    let identity = &settings.identity;
    for (key, given) in [
        ("identity.password_pepper", &identity.password_pepper),
        (
            "identity.other_password_pepper",
            &identity.other_password_pepper,
        ),
    ] {
        let wrong = |text: &SecretString| Pepper::from_text(text).is_err();
        if given.as_ref().is_some_and(wrong) {
            let mend = "make one with `openssl rand -base64 32`";
            checks.refuse(key, "a pepper is 32 random bytes in base64", mend);
        }
    }
    if let Err(error) = mail::open(&identity.mail, None) {
        let mend = "see `shop config --default`";
        checks.refuse("identity.mail", error.to_string(), mend);
    }
    for (key, page) in [
        ("identity.pages.verification", &identity.pages.verification),
        ("identity.pages.reset", &identity.pages.reset),
    ] {
        let leads = |page: &String| page.contains("{token}") && !page.contains(char::is_whitespace);
        if !page.as_ref().is_none_or(leads) {
            let mend = "write https://shop.example/page#token={token}";
            checks.refuse(key, "a page's address has {token} in it", mend);
        }
    }
}

/// A key that is none is told before anything is opened.
fn check_master_keys(personal: &PersonalSettings, checks: &mut Checks<'_>) {
    let mend = "make one with `openssl rand -base64 32`";
    for (key, given) in [
        ("personal.master_key", &personal.master_key),
        ("personal.other_master_key", &personal.other_master_key),
    ] {
        if given
            .as_ref()
            .is_some_and(|text| SealingKey::from_text(text).is_err())
        {
            checks.refuse(key, "a key is 32 random bytes in base64", mend);
        }
    }
    if personal.other_master_key.is_some() && personal.master_key.is_none() {
        let mend = "set the one that seals as personal.master_key";
        checks.refuse(
            "personal.other_master_key",
            "it is no other without a first",
            mend,
        );
    }
}
