//! The section of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use stanchion_config::{ByteSize, Checks, SecretString};

stanchion_config::choice! {
    /// How a user is proven to Kafka.
    pub enum KafkaLogin {
        /// In plain text: with TLS only.
        Plain = "plain",
        /// SCRAM with SHA-256.
        ScramSha256 = "scram-sha-256",
        /// SCRAM with SHA-512.
        ScramSha512 = "scram-sha-512",
    }
}

stanchion_config::settings! {
    /// Messages over Kafka; experimental.
    pub struct KafkaSettings {
        /// Some of its brokers, `host:port` with commas between.
        pub brokers: Option<String> = unset,
        /// The user, where Kafka wants one.
        pub user: Option<String> = unset,
        /// The user's password.
        pub password: Option<SecretString> = unset,
        /// How the user is proven.
        pub login: KafkaLogin = "scram-sha-512",
        /// TLS towards the brokers.
        pub tls: KafkaTlsSettings = section,
        /// A SOCKS5 proxy, `host:port`, that all connections go through.
        pub socks5: Option<String> = unset,
        /// What topics and groups begin with; services of the same prefix hear each other.
        pub prefix: String = "stanchion",
        /// How long a message may take to be confirmed, with connecting; then it counts as not confirmed.
        #[range("10ms"..="5m")]
        pub publish_timeout: Duration = "10s",
        /// How long connecting, and any one request, may take.
        #[range("100ms"..="5m")]
        pub request_timeout: Duration = "10s",
        /// The first wait before connecting again, doubled each time.
        #[range("1ms"..="1m")]
        pub backoff_base: Duration = "100ms",
        /// The longest wait before connecting again.
        #[range("1ms"..="10m")]
        pub backoff_max: Duration = "5s",
        /// Replicas of the topic when it is made; 0 for what the cluster has as its default.
        #[range(0..=100)]
        pub replicas: u16 = 0,
        /// How long the topic keeps messages, when it is made.
        #[range("1m"..="3650d")]
        pub retention: Duration = "7d",
        /// Messages of one delivery, and as many that wait in the client.
        #[range(1..=10000)]
        pub delivery_messages_max: u16 = 256,
        /// How long a member may be silent before its partitions go to others.
        #[range("1s"..="30m")]
        pub session_timeout: Duration = "45s",
        /// How long a member may take between two deliveries, unless it says that it is still at work.
        #[range("1s"..="1d")]
        pub work_max: Duration = "5m",
        /// The largest message, envelope and all; the topic's own bound is 1 MiB unless configured.
        pub message_bytes_max: ByteSize = "1000000B",
    }
    check = check_settings;
}

stanchion_config::settings! {
    /// TLS towards Kafka.
    pub struct KafkaTlsSettings {
        /// Whether connections are encrypted.
        pub enabled: bool = false,
        /// PEM file with the authorities that are trusted; well-known ones unless given.
        pub roots: Option<PathBuf> = unset,
        /// PEM file with our own certificate and its chain, where Kafka wants one.
        pub certificate: Option<PathBuf> = unset,
        /// PEM file with its private key.
        pub key: Option<PathBuf> = unset,
    }
    check = check_tls;
}

/// A topic's name has 249 characters.
const PREFIX_BYTES_MAX: usize = 100;

fn check_settings(settings: &KafkaSettings, checks: &mut Checks<'_>) {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let prefix = &settings.prefix;
    if prefix.is_empty() || prefix.len() > PREFIX_BYTES_MAX || !prefix.chars().all(fits) {
        let mend = "use 1 to 100 letters, digits, dots, dashes and underscores";
        checks.refuse("prefix", "it is part of the names of topics", mend);
    }
    if settings.user.is_some() != settings.password.is_some() {
        let mend = "give both, or neither";
        checks.refuse("user", "a user and its password go together", mend);
    }
    if settings.user.is_some() && settings.login == KafkaLogin::Plain && !settings.tls.enabled {
        let mend = "set `tls.enabled`, or choose another `login`";
        checks.refuse("login", "a password in plain text needs TLS", mend);
    }
}

fn check_tls(tls: &KafkaTlsSettings, checks: &mut Checks<'_>) {
    if tls.certificate.is_some() != tls.key.is_some() {
        let mend = "give both, or neither";
        checks.refuse("certificate", "a certificate and its key go together", mend);
    }
}
