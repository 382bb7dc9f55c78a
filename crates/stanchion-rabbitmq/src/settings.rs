//! The section of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use stanchion_config::{ByteSize, Checks, SecretString};

stanchion_config::settings! {
    /// Messages over RabbitMQ.
    pub struct RabbitMqSettings {
        /// Where it is: `amqp://` or `amqps://`, with user and password unless they are given apart, and the virtual host.
        pub url: Option<SecretString> = unset,
        /// The user, instead of the URL's.
        pub user: Option<String> = unset,
        /// The password, instead of the URL's.
        pub password: Option<SecretString> = unset,
        /// Certificates, where the URL is `amqps://`.
        pub tls: RabbitMqTlsSettings = section,
        /// What everything that is declared begins with; services of the same prefix hear each other.
        pub prefix: String = "stanchion",
        /// How many messages of a partition that wait together become one message of its queues, at most.
        #[range(1..=64)]
        pub bundle_max: u32 = 64,
        /// How long a message may take to be confirmed, with connecting; then it counts as not confirmed.
        #[range("10ms"..="5m")]
        pub publish_timeout: Duration = "10s",
        /// How long connecting and declaring may take.
        #[range("100ms"..="5m")]
        pub connect_timeout: Duration = "10s",
        /// The first wait before connecting again, doubled each time.
        #[range("1ms"..="1m")]
        pub backoff_base: Duration = "100ms",
        /// The longest wait before connecting again.
        #[range("1ms"..="10m")]
        pub backoff_max: Duration = "5s",
        /// A connection is dead when nothing came for twice as long.
        #[range("1s"..="1h")]
        pub heartbeat: Duration = "10s",
        /// Messages of one partition that a member holds before it has acknowledged some; a bundle is one.
        #[range(1..=10000)]
        pub prefetch: u16 = 32,
        /// How often a message may be given back by members that went away before it is a dead letter: what ends a process
        /// each time must end one day. Each stop gives back what is held, so a small number loses good messages.
        #[range(1..=1000000)]
        pub deliveries_max: u32 = 1000,
        /// Messages that wait in a queue, a bundle being one, of which a group has one a partition; beyond that the group asks for the rest later.
        #[range(1..=1000000000)]
        pub queue_messages_max: u32 = 100000,
        /// Bytes that wait in a queue; beyond that the group asks for the rest later.
        pub queue_bytes_max: ByteSize = "1GiB",
        /// How long a message waits before it is a dead letter; for ever unless given.
        #[range("1s"..="3650d")]
        pub queue_age_max: Option<Duration> = unset,
        /// Dead letters that the broker keeps; the oldest go first.
        #[range(1..=1000000000)]
        pub dead_letters_max: u32 = 100000,
        /// The largest message, envelope and all; the broker's own bound is 128 MiB unless configured.
        pub message_bytes_max: ByteSize = "16MiB",
        /// How often members of a group look whether they should share partitions anew.
        #[range("100ms"..="1h")]
        pub balance_every: Duration = "5s",
    }
    check = check_prefix;
}

stanchion_config::settings! {
    /// TLS towards RabbitMQ.
    pub struct RabbitMqTlsSettings {
        /// PEM file with the authorities that are trusted; those of the machine unless given.
        pub roots: Option<PathBuf> = unset,
        /// PEM file with our own certificate and its chain, where the broker wants one.
        pub certificate: Option<PathBuf> = unset,
        /// PEM file with its private key.
        pub key: Option<PathBuf> = unset,
        /// The name that the broker's certificate must bear; the URL's host unless given.
        pub server_name: Option<String> = unset,
    }
    check = check_tls;
}

/// Names of AMQP have 255 bytes; the group's and the partition's come after the prefix.
const PREFIX_BYTES_MAX: usize = 100;

fn check_prefix(settings: &RabbitMqSettings, checks: &mut Checks<'_>) {
    if settings.prefix.is_empty() || settings.prefix.len() > PREFIX_BYTES_MAX {
        let mend = "give it 1 to 100 bytes";
        checks.refuse("prefix", "what names begin with is a short word", mend);
    }
}

fn check_tls(tls: &RabbitMqTlsSettings, checks: &mut Checks<'_>) {
    if tls.certificate.is_some() != tls.key.is_some() {
        let mend = "give both, or neither";
        checks.refuse("certificate", "a certificate and its key go together", mend);
    }
}
