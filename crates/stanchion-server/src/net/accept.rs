use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use stanchion_runtime::task::Task;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::addresses::Addresses;
use super::connection::{Serving, serve};
use super::held::Held;
use crate::service::Network;

/// How long accepting pauses when the process is out of descriptors or memory.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What the kernel may have accepted for us: as much as tokio asks it to.
const BACKLOG_MAX: usize = 1024;

/// One port and the connections it has.
pub(crate) struct Listener {
    pub(crate) name: &'static str,
    pub(crate) socket: TcpListener,
    pub(crate) serving: Serving,
    pub(crate) connections_max: usize,
    pub(crate) per_address_max: usize,
    pub(crate) trusted: Vec<Network>,
    pub(crate) connections: TaskTracker,
}

impl Listener {
    /// Accepts until told to stop, then takes what the kernel has accepted already.
    pub(crate) async fn run(self) {
        let slots = Arc::new(Semaphore::new(self.connections_max));
        let addresses = Addresses::default();
        let mut pause = PAUSE_MIN;
        let _fresh = self.keep_tls_fresh();
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.serving.moments.closed.cancelled() => break,
                accepted = self.accept(&slots) => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = PAUSE_MIN;
                    self.take(stream, peer, &slots, &addresses);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(listener = self.name, %error, ?pause, "cannot accept, pausing");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
        // Whoever goes on connecting holds no stop.
        for _ in 0..BACKLOG_MAX {
            let Some(Ok((stream, peer))) = self.socket.accept().now_or_never() else {
                return;
            };
            self.take(stream, peer, &slots, &addresses);
        }
    }

    /// For as long as connections are accepted.
    fn keep_tls_fresh(&self) -> Option<Task<()>> {
        let tls = self.serving.tls.clone()?;
        let (port, stop, metrics) = (
            self.name,
            self.serving.moments.closed.clone(),
            self.serving.metrics.clone(),
        );
        let fresh = async move { tls.keep_fresh(port, stop, metrics).await };
        Some(stanchion_runtime::task::spawn("tls-files", fresh))
    }

    /// The next connection, once there is room for it: until then it waits in the kernel's backlog.
    async fn accept(&self, slots: &Arc<Semaphore>) -> io::Result<(TcpStream, SocketAddr)> {
        if slots.available_permits() == 0 {
            self.serving.metrics.connections_full();
            drop(slots.acquire().await);
        }
        self.socket.accept().await
    }

    fn take(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        slots: &Arc<Semaphore>,
        addresses: &Addresses,
    ) {
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            return self.serving.metrics.connection_refused("total");
        };
        let is_proxy = self
            .trusted
            .iter()
            .any(|network| network.contains(peer.ip()));
        let max = if is_proxy {
            usize::MAX
        } else {
            self.per_address_max
        };
        let Some(counted) = addresses.enter(peer.ip(), max) else {
            return self.serving.metrics.connection_refused("address");
        };
        let open = self.serving.metrics.connection();
        let held = Held::new(slot, counted, open, self.connections.token());
        let served = serve(stream, peer, held, self.serving.clone());
        stanchion_runtime::task::spawn("connection", served);
    }
}

/// Errors of a connection that went away before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}
