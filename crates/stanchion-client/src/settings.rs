use std::path::PathBuf;
use std::time::Duration;

use stanchion_config::{ByteSize, Checks};
use stanchion_resilience::outlier::OutlierSettings;
use stanchion_resilience::policy::PolicySettings;

stanchion_config::settings! {
    /// How one dependency is called: its policy, its hosts, its connections.
    pub struct ClientSettings {
        /// How its calls are guarded.
        pub policy: PolicySettings = section,
        /// When one of its hosts is left out.
        pub outlier: OutlierSettings = section,
        /// Whom we trust, and who we are.
        pub tls: ClientTlsSettings = section,
        /// Addresses such as 10.0.0.7:8443, instead of those that DNS has for the URL's host.
        pub addresses: Vec<String> = vec![],
        /// How often DNS is asked again, beside once a second while a host cannot be reached; what it said before counts while it does not answer.
        #[range("100ms"..="1h")]
        pub lookup_every: Duration = "30s",
        /// How long DNS may take, and how long TCP, TLS and HTTP/2 together.
        #[range("1ms"..="1m")]
        pub connect_timeout: Duration = "1s",
        /// Connections to one host at once; over HTTP/2 one carries all calls.
        #[range(1..=10000)]
        pub connections_max: u32 = 64,
        /// How long a connection is kept that nobody uses.
        #[range("100ms"..="1h")]
        pub idle_timeout: Duration = "30s",
        /// How long a connection is used at all, give or take a tenth: so that new hosts get their share.
        #[range("1s"..="1d")]
        pub connection_life: Duration = "10m",
        /// HTTP/2: how long a connection with open calls may be silent before it is asked whether it lives.
        #[range("100ms"..="1h")]
        pub ping_every: Duration = "10s",
        /// HTTP/2: how long the answer to that may take.
        #[range("10ms"..="5m")]
        pub ping_timeout: Duration = "5s",
        /// The largest answer that is read at once; of a gRPC stream, the largest message is its client's own setting.
        pub body_bytes_max: ByteSize = "4MiB",
        /// Streams and streamed bodies open at once; they do not count as calls of the bulkhead.
        #[range(1..=100000)]
        pub streams_max: u32 = 100,
        /// Whether deadline, trace, request id and attempt go along in headers.
        pub pass_context: bool = true,
    }
}

stanchion_config::settings! {
    /// TLS towards a dependency whose URL is https.
    pub struct ClientTlsSettings {
        /// PEM file with the authorities that are trusted; those of the machine unless given.
        pub roots: Option<PathBuf> = unset,
        /// PEM file with our own certificate and its chain, for a dependency that wants one.
        pub certificate: Option<PathBuf> = unset,
        /// PEM file with its private key.
        pub key: Option<PathBuf> = unset,
        /// The name that its certificate must bear; the URL's host unless given.
        pub server_name: Option<String> = unset,
        /// How often the files are looked at for changes, which new connections use.
        #[range("100ms"..="1h")]
        pub reload_every: Duration = "10s",
    }
    check = check_tls;
}

fn check_tls(tls: &ClientTlsSettings, checks: &mut Checks<'_>) {
    if tls.certificate.is_some() != tls.key.is_some() {
        let mend = "give both, or neither";
        checks.refuse("certificate", "a certificate and its key go together", mend);
    }
}
