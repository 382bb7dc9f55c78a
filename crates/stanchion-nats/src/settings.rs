//! The section of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use stanchion_config::{ByteSize, SecretString};

stanchion_config::settings! {
    /// NATS JetStream as the broker between services.
    pub struct NatsSettings {
        /// Where the servers are, separated by commas: `nats://` or `tls://`, with user and password where they want
        /// them.
        pub url: Option<SecretString> = unset,
        /// What its stream is called and its subjects begin with; services with the same prefix are one system.
        pub prefix: String = "stanchion",
        /// Whoever signed the servers' certificates, as PEM; the machine's own list where unset.
        pub tls_roots: Option<PathBuf> = unset,
        /// The certificate to show the servers, as PEM.
        pub tls_certificate: Option<PathBuf> = unset,
        /// That certificate's key, as PEM.
        pub tls_key: Option<PathBuf> = unset,
        /// A token that the servers know.
        pub token: Option<SecretString> = unset,
        /// The seed of an nkey that the servers know.
        pub nkey_seed: Option<SecretString> = unset,
        /// A file with JWT and nkey, as `nsc` writes it.
        pub credentials: Option<PathBuf> = unset,
        /// On how many servers the stream is kept, where this creates it.
        #[range(1..=5)]
        pub replicas: u32 = 1,
        /// How long a message stays in the stream, consumed or not, where this creates it.
        #[range("1m"..="365d")]
        pub max_age: Duration = "72h",
        /// How much the stream may take on a server's disk, where this creates it; the oldest messages go first. The
        /// server sets it aside, used or not.
        pub max_bytes: ByteSize = "1GiB",
        /// For how long the servers tell a repeated publish by its id, where this creates the stream.
        #[range("1s"..="24h")]
        pub duplicate_window: Duration = "2m",
        /// How many messages of a partition that wait together become one message of the stream, at most. 1 while members of
        /// a version that knows no bundles still run: they would give them up.
        #[range(1..=64)]
        pub bundle_max: u32 = 64,
        /// The longest a publish waits for its confirmation, and any question for its answer.
        #[range("10ms"..="1m")]
        pub publish_timeout: Duration = "5s",
        /// After so long without a sign of its member a message is delivered to another one, where this creates the
        /// group's consumers. Members give a sign every 2 s, so half a minute of work is no silence; what a killed one
        /// held waits so long.
        #[range("100ms"..="10m")]
        pub ack_wait: Duration = "10s",
        /// How often a message may be given back by members that went away before it is a dead letter of its consumer: what
        /// ends a process each time must end one day. Each stop gives back what is held, so a small number puts good messages
        /// aside.
        #[range(1..=1000000)]
        pub deliveries_max: u32 = 1000,
    }
}
