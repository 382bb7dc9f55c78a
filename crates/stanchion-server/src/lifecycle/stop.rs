//! The stop protocol. Its order is what keeps a client from seeing an error.

use std::time::Duration;

use stanchion_runtime::task::Task;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::workers::{Workers, close};
use super::{Stopped, Stuck};
use crate::metrics::{ServerMetrics, UNMATCHED};
use crate::net::Moments;
use crate::service::{Closer, Health, State};
use crate::stack::InFlight;

/// Kept of the whole stop for workers and stores, and at least given to them.
const AFTER_DRAIN: Duration = Duration::from_secs(4);
/// What workers and closers get even when draining took everything.
const AT_LEAST: Duration = Duration::from_secs(1);

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct StopTimes {
    pub(super) lame_duck: Duration,
    pub(super) idle_grace: Duration,
    pub(super) drain: Duration,
    pub(super) whole: Duration,
}

/// Everything that takes part in a stop.
pub(super) struct Stopping {
    pub(super) times: StopTimes,
    pub(super) health: Health,
    pub(super) moments: Moments,
    pub(super) waits: CancellationToken,
    pub(super) accepting: Option<Task<()>>,
    pub(super) connections: TaskTracker,
    pub(super) in_flight: InFlight,
    pub(super) metrics: ServerMetrics,
    pub(super) workers: Workers,
    pub(super) closers: Vec<Closer>,
    pub(super) admin: Option<AdminPort>,
}

/// The operator's port stays open to the end.
pub(super) struct AdminPort {
    pub(super) moments: Moments,
    pub(super) accepting: Task<()>,
}

impl Stopping {
    pub(super) async fn run(self) -> Stopped {
        let began = Instant::now();
        let end = began + self.times.whole;
        // 1. Not ready: balancers look elsewhere. Still serving, telling clients to go.
        self.health.enter(State::Draining);
        self.moments.telling.begin();
        tracing::info!(lame_duck = ?self.times.lame_duck, "not ready any more, still serving");
        sleep(self.times.lame_duck).await;
        // 2. Whoever waits is answered as things stand, before anything is closed.
        self.waits.cancel();
        // 3. What the kernel has accepted is served, then nothing is accepted any more.
        self.moments.closed.cancel();
        if let Some(accepting) = self.accepting {
            let _ = accepting.await;
        }
        tracing::info!(
            connections = self.connections.len(),
            "accepting nothing any more, draining"
        );
        // 4. A request may be on its way on a connection that looks idle: wait for it, then close those.
        self.connections.close();
        let _ = timeout(self.times.idle_grace, self.connections.wait()).await;
        self.moments.idle.cancel();
        // 5. What was begun is finished, or named and cut.
        let drained =
            (Instant::now() + self.times.drain).min(end - AFTER_DRAIN.min(self.times.whole / 2));
        let stuck = match timeout_at(drained, self.connections.wait()).await {
            Ok(()) => Vec::new(),
            Err(_) => {
                let connections = self.connections.len();
                cut(&self.in_flight, &self.moments, &self.metrics, connections)
            }
        };
        // 6. Workers after requests: what requests have caused can still go out.
        let workers = self.workers.stop(end.max(Instant::now() + AT_LEAST)).await;
        // 7. Flushes and stores last: everything above may have used them.
        close(self.closers, end.max(Instant::now() + AT_LEAST)).await;
        if let Some(admin) = self.admin {
            admin.close().await;
        }
        let (requests, workers, failure) = (stuck, workers.aborted, workers.failure);
        tracing::info!(took = ?began.elapsed(), cut = requests.len(), aborted = workers.len(), "stopped");
        match failure {
            Some(reason) => Stopped::Failed(reason),
            None if requests.is_empty() && workers.is_empty() => Stopped::Clean,
            None => Stopped::Cut { requests, workers },
        }
    }
}

impl AdminPort {
    async fn close(self) {
        self.moments.closed.cancel();
        self.moments.cut.cancel();
        let _ = self.accepting.await;
    }
}

/// Names what is still being served on so many connections, then ends it.
fn cut(
    in_flight: &InFlight,
    moments: &Moments,
    metrics: &ServerMetrics,
    connections: usize,
) -> Vec<Stuck> {
    let mut stuck: Vec<_> = in_flight
        .all()
        .iter()
        .map(|context| Stuck {
            method: context.method.to_string(),
            endpoint: context.endpoint().unwrap_or(UNMATCHED).to_owned(),
            request_id: context.request_id().to_owned(),
            age: context.started.elapsed(),
        })
        .collect();
    stuck.sort_by_key(|stuck| std::cmp::Reverse(stuck.age));
    for request in &stuck {
        metrics.cut();
        tracing::error!(
            method = request.method,
            endpoint = request.endpoint,
            request_id = request.request_id,
            age_ms = request.age.as_millis() as u64,
            "request cut off by the stop"
        );
    }
    if stuck.is_empty() {
        // Tunnels over HTTP/2, of which nobody learns when they end, or clients that do not go.
        tracing::warn!(
            connections,
            "connections cut off by the stop, with no request that is known"
        );
    }
    moments.cut.cancel();
    stuck
}
