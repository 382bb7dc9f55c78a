//! Discovery: which addresses stand behind a dependency's URL.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;

/// More addresses than this are left out: of so many, the first ones are as good as any.
pub(crate) const HOSTS_MAX: usize = 256;

type Ask = Arc<dyn Fn() -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Where a client's hosts come from.
///
/// ```
/// use stanchion_client::Discovery;
///
/// let two = Discovery::fixed(["10.0.0.7:8443".parse().unwrap(), "10.0.0.8:8443".parse().unwrap()]);
/// let by_name = Discovery::dns("stock.internal", 8443);
/// ```
#[derive(Clone)]
pub struct Discovery(pub(crate) Source);

#[derive(Clone)]
pub(crate) enum Source {
    Fixed(Vec<SocketAddr>),
    Asked { about: String, ask: Ask },
}

impl Discovery {
    /// These, for as long as the client lives.
    #[must_use]
    pub fn fixed(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self(Source::Fixed(
            addresses.into_iter().take(HOSTS_MAX).collect(),
        ))
    }

    /// What DNS has for that name, asked again every `lookup_every`.
    ///
    /// The system resolver is asked (`getaddrinfo`), one question at a time; what it said last counts while it fails.
    #[must_use]
    pub fn dns(host: &str, port: u16) -> Self {
        let about = format!("{host}:{port}");
        let name = host.to_owned();
        let asked = Self::asking(move || {
            let name = name.clone();
            async move {
                let found = tokio::net::lookup_host((name, port)).await?;
                Ok(found.collect())
            }
        });
        match asked.0 {
            Source::Asked { ask, .. } => Self(Source::Asked { about, ask }),
            fixed => Self(fixed),
        }
    }

    /// What `ask` says, asked again every `lookup_every`: for a registry of your own.
    #[must_use]
    pub fn asking<F>(ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        Self(Source::Asked {
            about: "a registry".into(),
            ask: Arc::new(move || Box::pin(ask())),
        })
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Fixed(addresses) => f.debug_tuple("Discovery").field(addresses).finish(),
            Source::Asked { about, .. } => f.debug_tuple("Discovery").field(about).finish(),
        }
    }
}
