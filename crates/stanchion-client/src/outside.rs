//! Documents at URLs that are not wholly ours to choose.
//!
//! A discovery document names the next URL, an operator types one, a redirect leads to a third: whoever follows them
//! from inside a network is a way into it (SSRF). [`Outside`] goes where it is told only if that is the internet:
//!
//! - **https** alone, but for addresses that [`allow_private`](OutsideSettings::allow_private) names; no user and password
//!   in a URL.
//! - **The address decides, not the name.** A name is resolved once, every address of it is looked at, and the
//!   connection goes to the one that was looked at: a name that resolves otherwise a moment later (DNS rebinding), a
//!   decimal or octal spelling of 127.0.0.1, an IPv6 address with an IPv4 one inside, all end at the same rule.
//! - **Each redirect** starts over with the same rules, at most [`redirects_max`](OutsideSettings::redirects_max) times.
//! - Time and size are bounded, for the whole with its redirects. Nothing of the caller goes along: no trace, no cookie,
//!   no token; bodies are not decompressed.

mod address;
mod get;
mod url;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use stanchion_config::ByteSize;
use stanchion_telemetry::Metrics;
use tokio_rustls::TlsConnector;

pub use address::is_public;

use self::address::Network;
use self::url::Place;
use crate::discovery::Source;
use crate::{ClientTlsSettings, Discovery, SetupError, tls};

stanchion_config::settings! {
    /// How documents elsewhere are fetched.
    pub struct OutsideSettings {
        /// Private, loopback and other addresses that may be reached although they are not the internet's, and by plain http too: 10.0.0.7, or a network such as 10.0.0.0/8. For an identity provider in the same network; list as little as you can.
        pub allow_private: Vec<String> = vec![],
        /// Whom we trust, and who we are.
        pub tls: ClientTlsSettings = section,
        /// How long name resolution, connection, redirects and body may take together.
        #[range("10ms"..="1m")]
        pub timeout: Duration = "5s",
        /// The largest document.
        pub body_bytes_max: ByteSize = "256KiB",
        /// How many redirects are followed.
        #[range(0..=10)]
        pub redirects_max: u32 = 3,
    }
}

/// Gets documents; clones share everything. Makes a connection for each: it is for the rare document, not for calls.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use stanchion_client::{Metrics, Outside, OutsideSettings};
///
/// let outside = Outside::new(&OutsideSettings::default(), &Metrics::default())?;
/// let document = outside.get("https://login.example/.well-known/openid-configuration").await?;
/// assert!(outside.get("https://169.254.169.254/latest/meta-data").await.is_err());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Outside(Arc<Inner>);

struct Inner {
    settings: OutsideSettings,
    allowed: Vec<Network>,
    tls: TlsConnector,
    /// Instead of the system's resolver.
    resolver: Option<Discovery>,
    gets: Family<Outcome, Counter>,
}

/// A document, answered with 200.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it was in the end.
    pub url: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Vec<u8>,
}

/// Why there is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutsideError {
    /// The URL, or one that it was redirected to, is none that is gone to.
    #[error("{url}: {why}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It leads to an address that is not the internet's.
    #[error("{host} is at {address}, which is no public address; `allow_private` can name it")]
    Private {
        /// The URL's host.
        host: String,
        /// Where it leads.
        address: SocketAddr,
    },
    /// More redirects than are followed.
    #[error("it is redirected more than {0} times")]
    Redirects(u32),
    /// It is larger than is read, in bytes.
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
    /// It was answered with another status than 200.
    #[error("it was answered with {0}")]
    Status(u16),
    /// Not found, not connected, broken off.
    #[error("{0}")]
    Failed(String),
    /// It took longer than it may.
    #[error("it took longer than {0:?}")]
    TimedOut(Duration),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl Outside {
    /// By the system's resolver; counted in `stanchion_outside_gets_total`.
    ///
    /// # Errors
    /// [`SetupError::Tls`]: a certificate or key cannot be used (changed files are read by a new one alone);
    /// [`SetupError::Network`]: one of `allow_private` is none.
    pub fn new(settings: &OutsideSettings, metrics: &Metrics) -> Result<Self, SetupError> {
        Self::over(settings, None, metrics)
    }

    /// The same with every name at these addresses, as looked up again for each connection: for tests, and for a
    /// resolver of your own. What it says is subject to the same rules.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn resolving(
        settings: &OutsideSettings,
        resolver: Discovery,
        metrics: &Metrics,
    ) -> Result<Self, SetupError> {
        Self::over(settings, Some(resolver), metrics)
    }

    fn over(
        settings: &OutsideSettings,
        resolver: Option<Discovery>,
        metrics: &Metrics,
    ) -> Result<Self, SetupError> {
        let tls = tls::config(&settings.tls, &[b"http/1.1"])?;
        let allowed: Result<_, _> = settings
            .allow_private
            .iter()
            .map(|text| Network::parse(text).ok_or_else(|| SetupError::Network(text.clone())))
            .collect();
        Ok(Self(Arc::new(Inner {
            settings: settings.clone(),
            allowed: allowed?,
            tls: TlsConnector::from(tls),
            resolver,
            gets: metrics.counter_family(
                "stanchion_outside_gets_total",
                "Documents that were asked for elsewhere, by what came of it.",
            ),
        })))
    }

    /// The document at that URL.
    ///
    /// # Errors
    /// [`OutsideError`].
    pub async fn get(&self, url: &str) -> Result<Document, OutsideError> {
        let within = self.0.settings.timeout;
        let got = tokio::time::timeout(within, self.followed(url)).await;
        let got = got.unwrap_or(Err(OutsideError::TimedOut(within)));
        let outcome = got.as_ref().map_or_else(OutsideError::label, |_| "ok");
        self.0.gets.get_or_create(&Outcome { outcome }).inc();
        got
    }

    async fn followed(&self, url: &str) -> Result<Document, OutsideError> {
        let Inner { settings, tls, .. } = &*self.0;
        let plain = !settings.allow_private.is_empty();
        let mut place = Place::parse(url, plain)?;
        for _ in 0..=settings.redirects_max {
            let address = self.resolved(&place).await?;
            match get::get(&place, address, tls, settings).await? {
                get::Answer::Document(document) => return Ok(document),
                get::Answer::Redirect(location) => {
                    place = place.redirected(&location, plain)?;
                }
            }
        }
        Err(OutsideError::Redirects(settings.redirects_max))
    }

    /// An address of the place, after all of them were looked at.
    async fn resolved(&self, place: &Place) -> Result<SocketAddr, OutsideError> {
        let failed = |error: std::io::Error| {
            OutsideError::Failed(format!("{} is not found: {error}", place.host))
        };
        let found: Vec<SocketAddr> = match self.0.resolver.as_ref().map(|given| &given.0) {
            _ if place.address().is_some() => place.address().into_iter().collect(),
            Some(Source::Fixed(addresses)) => addresses.clone(),
            Some(Source::Asked { ask, .. }) => ask().await.map_err(failed)?,
            None => {
                let name = (place.host.as_str(), place.port);
                let found = tokio::net::lookup_host(name).await.map_err(failed)?;
                found.take(crate::discovery::HOSTS_MAX).collect()
            }
        };
        let allowed = |ip| self.0.allowed.iter().any(|network| network.contains(ip));
        // By plain http nobody else is asked than who is named.
        let refused = |address: &&SocketAddr| {
            let is_there = place.tls && is_public(address.ip());
            !is_there && !allowed(address.ip())
        };
        if let Some(address) = found.iter().find(refused) {
            let (host, address) = (place.host.clone(), *address);
            tracing::warn!(host, %address, "a document elsewhere is not at a public address; it is not fetched");
            return Err(OutsideError::Private { host, address });
        }
        let first = found.first().copied();
        first.ok_or_else(|| OutsideError::Failed(format!("{} has no address", place.host)))
    }
}

impl OutsideError {
    fn label(&self) -> &'static str {
        match self {
            Self::Url { .. } => "url",
            Self::Private { .. } => "private",
            Self::Redirects(_) => "redirects",
            Self::TooLarge(_) => "too_large",
            Self::Status(_) => "status",
            Self::Failed(_) => "failed",
            Self::TimedOut(_) => "timeout",
        }
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outside").field(&self.0.settings).finish()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("url", &self.url)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
