use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::ServerName;
use stanchion_config::{ByteSize, Checks, SecretString};

use crate::AdmissionSettings;

stanchion_config::settings! {
    /// Where and how the service listens.
    pub struct ServerSettings {
        /// Public address.
        pub listen: SocketAddr = "127.0.0.1:8080",
        /// Signs cursors and consistency tokens; at least 32 bytes, the same on every replica.
        pub secret: Option<SecretString> = unset,
        /// Certificate and key; plain HTTP without.
        pub tls: TlsSettings = section,
        /// TLS ends at a proxy in front; allows a public address in production.
        pub behind_proxy: bool = false,
        /// Proxies that are believed whom they speak for: addresses or networks such as 10.0.0.0/8.
        pub trusted_proxies: Vec<String> = vec![],
        /// The header in which they say it, and which they must write themselves: x-forwarded-for or forwarded (RFC 7239).
        pub forwarded_by: ForwardedBy = "x-forwarded-for",
        /// How long a request may take, unless its route says otherwise.
        #[range("1ms"..="1h")]
        pub request_timeout: Duration = "30s",
        /// How long a gRPC call may take; a caller's grpc-timeout can only shorten it.
        #[range("1ms"..="1h")]
        pub grpc_timeout: Duration = "10s",
        /// How long a gRPC stream may last; likewise.
        #[range("1ms"..="24h")]
        pub grpc_stream_timeout: Duration = "1h",
        /// How long an event stream may last, or up to a tenth less; its client comes back for what follows.
        #[range("1s"..="24h")]
        pub event_stream_timeout: Duration = "1h",
        /// How long the head of a request may take to arrive.
        #[range("100ms"..="5m")]
        pub header_timeout: Duration = "10s",
        /// How long a connection may be idle between requests.
        #[range("1s"..="1h")]
        pub idle_timeout: Duration = "75s",
        /// How long a client may take none of an answer.
        #[range("100ms"..="1h")]
        pub write_timeout: Duration = "30s",
        /// Largest request body, after decompression, unless its route says otherwise.
        pub body_bytes_max: ByteSize = "1MiB",
        /// Connections open at once.
        #[range(1..=1000000)]
        pub connections_max: usize = 10000,
        /// Connections open at once from one address, of IPv6 from one network of 64 bits; proxies that are trusted are not counted.
        #[range(1..=1000000)]
        pub connections_per_address_max: usize = 1000,
        /// Requests open at once on one connection of HTTP/2; more are refused. A proxy that has few connections for many clients may want more.
        #[range(1..=10000)]
        pub http2_streams_max: u32 = 200,
        /// Requests worked on at once at most; below that see server.admission. What is too much is answered 503 OVERLOADED.
        #[range(1..=1000000)]
        pub in_flight_max: usize = 512,
        /// Requests that may wait at once (Prefer: wait, event streams, gRPC streams). Of gRPC streams that anyone may open there are 64 beside these.
        #[range(1..=1000000)]
        pub waiting_max: usize = 4096,
        /// How long a readiness check may take.
        #[range("10ms"..="1m")]
        pub check_timeout: Duration = "2s",
        /// How long to go on serving after a stop begins, so that balancers notice; 0 on a terminal.
        #[range("0s"..="5m")]
        pub lame_duck: Option<Duration> = unset,
        /// How long idle connections are kept after that, for requests already on their way.
        #[range("0s"..="1m")]
        pub idle_grace: Duration = "1s",
        /// How long requests may take to finish after that.
        #[range("0s"..="1h")]
        pub drain: Duration = "25s",
        /// How long a whole stop may take; workers and stores get what draining leaves, at least a second.
        #[range("1s"..="2h")]
        pub stop: Duration = "30s",
        /// Who is let in under load.
        pub admission: AdmissionSettings = section,
        /// Cross-origin requests; closed unless origins are named.
        pub cors: CorsSettings = section,
        /// How fast the body of a request must arrive, in bytes a second, once it was waited for as long as header_timeout; 0 for as slowly as its deadline allows.
        pub body_rate_min: ByteSize = "240B",
    }
    check = check_server;
}

stanchion_config::choice! {
    /// The header in which proxies say whom they speak for.
    pub enum ForwardedBy {
        /// `X-Forwarded-For`: addresses, the nearest last.
        XForwardedFor = "x-forwarded-for",
        /// `Forwarded` of RFC 7239.
        Forwarded = "forwarded",
    }
}

stanchion_config::choice! {
    /// The oldest TLS that is spoken.
    pub enum TlsVersion {
        /// TLS 1.2 and 1.3.
        V12 = "1.2",
        /// TLS 1.3 alone.
        V13 = "1.3",
    }
}

stanchion_config::choice! {
    /// Whether clients must prove who they are, where `client_roots` is set.
    pub enum ClientProof {
        /// Without a certificate there is no connection.
        Required = "required",
        /// A certificate is verified if there is one.
        Optional = "optional",
    }
}

stanchion_config::settings! {
    /// TLS on a port. Changed files are taken into use without a restart and without dropping a connection.
    pub struct TlsSettings {
        /// PEM file with the certificate and its chain, the own one first.
        pub certificate: Option<PathBuf> = unset,
        /// PEM file with its private key.
        pub key: Option<PathBuf> = unset,
        /// The oldest version spoken: 1.2 or 1.3.
        pub minimum: TlsVersion = "1.2",
        /// PEM file with the authorities of clients' certificates; turns mutual TLS on.
        pub client_roots: Option<PathBuf> = unset,
        /// Whether clients must have a certificate: required or optional.
        pub clients: ClientProof = "required",
        /// Names such as orders.internal or 10.0.0.7, of which a client's certificate must bear one; whoever those authorities vouch for, unless given.
        pub client_names: Vec<String> = vec![],
        /// How often the files are looked at for changes.
        #[range("100ms"..="1h")]
        pub reload_every: Duration = "10s",
    }
    check = check_tls;
}

impl TlsSettings {
    /// Whether the port speaks TLS.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.certificate.is_some()
    }

    /// Whether nobody gets a connection without a certificate of `client_roots`.
    #[must_use]
    pub fn is_mutual(&self) -> bool {
        self.is_on() && self.client_roots.is_some() && self.clients == ClientProof::Required
    }

    /// What its URLs begin with: `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.is_on() { "https" } else { "http" }
    }
}

stanchion_config::settings! {
    /// Which pages of other origins may call.
    pub struct CorsSettings {
        /// Origins such as https://shop.example, or * for every one (without credentials).
        pub origins: Vec<String> = vec![],
        /// Methods they may use; all that routes have unless given.
        pub methods: Vec<String> = vec![],
        /// Headers they may send; those of the conventions unless given.
        pub headers: Vec<String> = vec![],
    }
}

stanchion_config::settings! {
    /// The operator's port, never reachable through the public one.
    pub struct AdminSettings {
        /// Its address; anything but loopback needs a token or mutual TLS.
        pub listen: SocketAddr = "127.0.0.1:9090",
        /// Bearer token for everything but health.
        pub token: Option<SecretString> = unset,
        /// Certificate and key; plain HTTP without.
        pub tls: TlsSettings = section,
        /// PEM file with the certificate by which this program's own commands prove themselves there.
        pub client_certificate: Option<PathBuf> = unset,
        /// PEM file with its private key.
        pub client_key: Option<PathBuf> = unset,
        /// Host names it answers to beside localhost and any address.
        pub hosts: Vec<String> = vec![],
    }
    check = check_admin;
}

/// A network: an address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text
            .split_once('/')
            .map_or((text, None), |(a, bits)| (a, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(width), |bits| {
            bits.parse().ok().filter(|bits| *bits <= width)
        })?;
        Some(Self { address, bits })
    }

    pub(crate) fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - self.bits;
                let high = |address: std::net::Ipv4Addr| {
                    u32::from(address).checked_shr(shift).unwrap_or(0)
                };
                high(own) == high(other)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - self.bits;
                let high = |address: std::net::Ipv6Addr| {
                    u128::from(address).checked_shr(shift).unwrap_or(0)
                };
                high(own) == high(other)
            }
            _ => false,
        }
    }
}

fn check_server(server: &ServerSettings, checks: &mut Checks<'_>) {
    if server
        .trusted_proxies
        .iter()
        .any(|text| Network::parse(text).is_none())
    {
        checks.refuse(
            "trusted_proxies",
            "not an address or network",
            "write 10.0.0.7 or 10.0.0.0/8",
        );
    }
    if server.connections_per_address_max > server.connections_max {
        checks.refuse(
            "connections_per_address_max",
            "more than all connections together",
            "lower it or raise `connections_max`",
        );
    }
}

fn check_tls(tls: &TlsSettings, checks: &mut Checks<'_>) {
    match (&tls.certificate, &tls.key) {
        (Some(_), None) => checks.refuse("key", "a certificate without its key", "set `key`"),
        (None, Some(_)) => {
            checks.refuse(
                "certificate",
                "a key without its certificate",
                "set `certificate`",
            );
        }
        (None, None) if tls.client_roots.is_some() => checks.refuse(
            "client_roots",
            "clients prove themselves over TLS, which is off",
            "set `certificate` and `key`",
        ),
        _ => {}
    }
    if tls.client_roots.is_none() && !tls.client_names.is_empty() {
        checks.refuse(
            "client_names",
            "names of clients whose certificates nobody looks at",
            "set `client_roots`, or no names",
        );
    }
    let is_none = |name: &&String| ServerName::try_from(name.as_str()).is_err();
    if let Some(name) = tls.client_names.iter().find(is_none) {
        checks.refuse(
            "client_names",
            format!("`{name}` is no name"),
            "write orders.internal or 10.0.0.7",
        );
    }
}

fn check_admin(admin: &AdminSettings, checks: &mut Checks<'_>) {
    if !admin.listen.ip().is_loopback() && admin.token.is_none() && !admin.tls.is_mutual() {
        checks.refuse(
            "listen",
            "reachable from other machines without a token or mutual TLS",
            "set `token`, or `tls.client_roots`, or listen on 127.0.0.1",
        );
    }
    if admin.client_certificate.is_some() != admin.client_key.is_some() {
        checks.refuse(
            "client_certificate",
            "a certificate and its key belong together",
            "set `client_certificate` and `client_key`, or neither",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_what_shares_its_leading_bits() {
        let cases = [
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.7", "10.0.0.7", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("fd00::/8", "fd12::1", true),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("fd00::/8", "10.0.0.1", false),
        ];
        for (network, address, expected) in cases {
            let contains = Network::parse(network)
                .unwrap()
                .contains(address.parse().unwrap());
            assert_eq!(contains, expected, "{network} {address}");
        }
        assert!(Network::parse("10.0.0.0/33").is_none() && Network::parse("here").is_none());
    }
}
