//! Everything it can be told: see `__service__ config --default`.

use std::path::PathBuf;
use std::time::Duration;

use stanchion::config::{Checks, choice, settings};
use stanchion::nats::NatsSettings;
use stanchion::server::{AdminSettings, ServerSettings};
use stanchion::telemetry::TelemetrySettings;

/// The URL of a broker that is none: messages stay within this process.
pub(crate) const MEMORY: &str = "memory:";

choice! {
    /// Where it runs.
    pub(crate) enum Environment {
        /// A developer's machine.
        Dev = "dev",
        /// Others depend on it.
        Prod = "prod",
    }
}

settings! {
    /// Everything it can be told.
    pub(crate) struct Settings {
        /// dev or prod. Prod refuses what only suits a first look.
        pub(crate) environment: Environment = Environment::Dev,
        /// Where and how it listens.
        pub(crate) server: ServerSettings = section,
        /// The operator's port.
        pub(crate) admin: AdminSettings = section,
        /// Where state is kept.
        pub(crate) database: DatabaseSection = section,
        /// What carries messages to others.
        pub(crate) broker: BrokerSettings = section,
        /// Whose access tokens are taken.
        pub(crate) auth: AuthSettings = section,
        /// Logs, metrics and traces.
        pub(crate) telemetry: TelemetrySettings = section,
    }
    check = check_environment;
}

settings! {
    /// Where state is kept.
    pub(crate) struct DatabaseSection {
        /// sqlite://DIR keeps a file a context, postgres://… a schema a context.
        pub(crate) url: String = "sqlite://data",
        /// Longest run of one statement.
        #[range("10ms"..="10m")]
        pub(crate) statement_timeout: Duration = "5s",
        /// PostgreSQL: most open connections of a context's pool.
        #[range(2..=1000)]
        pub(crate) connections_max: usize = 10,
    }
}

settings! {
    /// What carries messages to others.
    pub(crate) struct BrokerSettings {
        /// memory: keeps them within this process; nats:// names a NATS with JetStream.
        pub(crate) url: String = "memory:",
        /// How NATS is used; its url is the one above.
        pub(crate) nats: NatsSettings = section,
    }
}

settings! {
    /// Whose access tokens are taken.
    pub(crate) struct AuthSettings {
        /// `iss` of the tokens.
        pub(crate) issuer: String = "http://127.0.0.1:8080",
        /// `aud` of the tokens.
        pub(crate) audience: String = "__service__",
        /// The issuer's public keys, a JWK set in a file. In dev, without it, a token is made and printed at the start.
        pub(crate) jwks_file: Option<PathBuf> = unset,
    }
}

/// What suits a first look does not suit those who depend on it.
fn check_environment(settings: &Settings, checks: &mut Checks<'_>) {
    let broker = &settings.broker.url;
    if broker != MEMORY && !broker.starts_with("nats://") && !broker.starts_with("tls://") {
        let mend = "memory:, or a URL that begins with nats: or tls:";
        checks.refuse("broker.url", "there is no adapter for it", mend);
    }
    if settings.environment != Environment::Prod {
        return;
    }
    if settings.auth.jwks_file.is_none() {
        let mend = "name a file with the public keys of whoever issues tokens";
        checks.refuse("auth.jwks_file", "prod takes no tokens of its own making", mend);
    }
    if settings.server.secret.is_none() {
        let mend = "make one with `openssl rand -base64 32`, and set it or better its _FILE";
        checks.refuse("server.secret", "replicas need the same one", mend);
    }
}
