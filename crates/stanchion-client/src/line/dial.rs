//! A new connection: TCP, TLS, and the HTTP that both sides speak, within one bounded time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use stanchion_resilience::Moment;
use stanchion_resilience::deadline::HopCost;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::detached;
use super::outgoing::Outgoing;
use crate::ClientSettings;
use crate::metrics::{ClientMetrics, Counting};
use crate::tls::Tls;

/// The longest head of an answer that is read, in bytes.
const HEAD_BYTES_MAX: u32 = 64 * 1024;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// What TLS agrees on, HTTP/1.1 without.
    Agreed,
    /// HTTP/2 alone, also without TLS: gRPC.
    Http2,
}

/// A connection's own end.
pub(crate) enum Dialed {
    One(http1::SendRequest<Outgoing>),
    Shared(http2::SendRequest<Outgoing>),
}

/// Makes the connections of one client.
pub(crate) struct Dialer {
    pub(crate) tls: Option<Tls>,
    pub(crate) protocol: Protocol,
    pub(crate) settings: ClientSettings,
    pub(crate) metrics: ClientMetrics,
}

impl Protocol {
    pub(crate) fn names(self) -> &'static [&'static [u8]] {
        match self {
            Self::Agreed => &[b"h2", b"http/1.1"],
            Self::Http2 => &[b"h2"],
        }
    }
}

impl Dialer {
    /// Connects, or says why not. What the way costs is learned from TCP's handshake.
    pub(crate) async fn dial(&self, address: SocketAddr, way: &HopCost) -> Result<Dialed, String> {
        let within = self.settings.connect_timeout;
        let dialed = timeout(within, self.connect(address, way)).await;
        let dialed = dialed.unwrap_or_else(|_| Err(("timeout", silent(within))));
        let outcome = dialed.as_ref().map_or_else(|(label, _)| *label, |_| "ok");
        self.metrics.connected(outcome);
        dialed.map_err(|(_, why)| format!("{address}: {why}"))
    }

    async fn connect(
        &self,
        address: SocketAddr,
        way: &HopCost,
    ) -> Result<Dialed, (&'static str, String)> {
        let begun = Moment::now();
        let tcp = TcpStream::connect(address).await;
        let tcp = tcp.map_err(|error| ("tcp", error.to_string()))?;
        way.learn(Moment::now().since(begun), Duration::ZERO);
        // A call is one small write that must not wait for another.
        let _ = tcp.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.greet(tcp, self.protocol == Protocol::Http2).await;
        };
        let (connector, name) = tls.connector();
        let stream = connector.connect(name, tcp).await;
        let stream = stream.map_err(|error| ("tls", error.to_string()))?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if self.protocol == Protocol::Http2 && !is_h2 {
            return Err(("http", "it does not speak HTTP/2".into()));
        }
        self.greet(stream, is_h2).await
    }

    async fn greet<S>(&self, stream: S, is_h2: bool) -> Result<Dialed, (&'static str, String)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        let open = Counting::of(&self.metrics.connections);
        let failed = |error: hyper::Error| ("http", error.to_string());
        if is_h2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_header_list_size(HEAD_BYTES_MAX)
                .keep_alive_interval(self.settings.ping_every)
                .keep_alive_timeout(self.settings.ping_timeout);
            let (sender, connection) = builder.handshake(io).await.map_err(failed)?;
            detached("client connection", async move {
                ended(connection.await, open);
            });
            return Ok(Dialed::Shared(sender));
        }
        let mut builder = http1::Builder::new();
        builder.max_header_size(HEAD_BYTES_MAX as usize);
        let (sender, connection) = builder.handshake(io).await.map_err(failed)?;
        detached("client connection", async move {
            ended(connection.await, open);
        });
        Ok(Dialed::One(sender))
    }
}

fn silent(within: Duration) -> String {
    format!("no connection within {within:?}")
}

/// Whoever waits for an answer on it is told by itself.
fn ended(result: hyper::Result<()>, open: Counting) {
    if let Err(error) = result {
        tracing::debug!(%error, "a connection broke");
    }
    drop(open);
}

/// What an `Arc` of it is made of.
pub(crate) type SharedDialer = Arc<Dialer>;
