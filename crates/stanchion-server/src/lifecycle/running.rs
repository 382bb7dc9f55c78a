use std::net::SocketAddr;

use stanchion_runtime::task::Task;
use tokio_util::sync::CancellationToken;

use super::Stopped;

/// Where a service listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The public port; none in a process that only has workers.
    pub public: Option<SocketAddr>,
    /// The operator's port, if it is open.
    pub admin: Option<SocketAddr>,
}

/// A service at work, for tests and for programs that are more than a service.
///
/// Dropped, it goes on; [`stop`](Self::stop) begins the stop protocol.
#[derive(Debug)]
pub struct Running {
    pub(super) addresses: Addresses,
    pub(super) stop: CancellationToken,
    pub(super) supervision: Option<Task<Stopped>>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Begins the stop protocol; [`stopped`](Self::stopped) tells when it is through.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for its end. Cancel-safe.
    pub async fn stopped(&mut self) -> Stopped {
        let Some(supervision) = &mut self.supervision else {
            return Stopped::Failed("the service has ended before".into());
        };
        let stopped = supervision.await;
        self.supervision = None;
        stopped.unwrap_or_else(|error| Stopped::Failed(error.to_string()))
    }
}
