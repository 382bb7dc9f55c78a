use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls};

use super::tls::Tls;

const PORT: u16 = 5_432;

/// Where a pool's connections go, and how to stop what one of them runs.
#[derive(Debug)]
pub(super) struct Server {
    /// `None` for several hosts: which of them a connection went to is not known.
    address: Option<Address>,
    tls: Tls,
    /// Hosts, ports and database, for people.
    pub(super) shown: String,
}

#[derive(Debug)]
enum Address {
    Tcp {
        name: String,
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

impl Server {
    pub(super) fn new(config: &Config, tls: Tls) -> Self {
        let address = address(config);
        let shown = shown(config);
        Self {
            address,
            tls,
            shown,
        }
    }

    pub(super) fn tls(&self) -> &Tls {
        &self.tls
    }

    /// Asks the server to stop what the connection runs. True once it has done so: then no request is under way
    /// any more that could hit the connection's next statement, which may be somebody else's.
    ///
    /// The driver's own way returns as soon as the request is written.
    pub(super) async fn cancel(&self, client: &Client) -> bool {
        match &self.address {
            Some(Address::Tcp { name, host, port }) => {
                match TcpStream::connect((host.as_str(), *port)).await {
                    Ok(stream) => self.cancel_on(client, stream, name).await,
                    Err(_) => false,
                }
            }
            Some(Address::Unix(path)) => match UnixStream::connect(path).await {
                Ok(stream) => self.cancel_on(client, stream, "").await,
                Err(_) => false,
            },
            None => {
                let token = client.cancel_token();
                let _ = match &self.tls {
                    Tls::Plain => token.cancel_query(NoTls).await,
                    Tls::Rustls(tls) => token.cancel_query(tls.clone()).await,
                };
                false
            }
        }
    }

    async fn cancel_on<S>(&self, client: &Client, stream: S, name: &str) -> bool
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = UntilClosed {
            stream,
            shut: false,
        };
        let token = client.cancel_token();
        let asked = match &self.tls {
            Tls::Plain => {
                token
                    .cancel_query_raw(stream, tokio_postgres::tls::NoTls)
                    .await
            }
            Tls::Rustls(tls) => {
                let made =
                    MakeTlsConnect::<UntilClosed<S>>::make_tls_connect(&mut tls.clone(), name);
                let Ok(tls) = made;
                token.cancel_query_raw(stream, tls).await
            }
        };
        asked.is_ok()
    }
}

/// A stream whose shutdown ends when the other side closes: the server does so after it sent the signal.
struct UntilClosed<S> {
    stream: S,
    shut: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for UntilClosed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for UntilClosed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.shut = true;
        }
        loop {
            let mut space = [0; 64];
            let mut buffer = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            // A reset is a close as well.
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

fn shown(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(n, host)| {
        let port = ports.get(n).or(ports.first()).copied().unwrap_or(PORT);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(folder) => folder.display().to_string(),
        }
    });
    let hosts: Vec<String> = hosts.collect();
    let database = config.get_dbname().or(config.get_user());
    format!("{}/{}", hosts.join(","), database.unwrap_or_default())
}

fn address(config: &Config) -> Option<Address> {
    let port = config.get_ports().first().copied().unwrap_or(PORT);
    match (config.get_hosts(), config.get_hostaddrs()) {
        ([Host::Tcp(name)], []) => Some(Address::Tcp {
            name: name.clone(),
            host: name.clone(),
            port,
        }),
        ([Host::Tcp(name)], [at]) => Some(Address::Tcp {
            name: name.clone(),
            host: at.to_string(),
            port,
        }),
        ([Host::Unix(folder)], _) => Some(Address::Unix(folder.join(format!(".s.PGSQL.{port}")))),
        _ => None,
    }
}
