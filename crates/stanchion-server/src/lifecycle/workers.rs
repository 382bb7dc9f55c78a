use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use stanchion_runtime::task::{self, Task};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::service::{Closer, Worker};

/// How long one closer may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// The workers of all modules.
pub(super) struct Workers {
    stop: CancellationToken,
    running: Vec<RunningWorker>,
    failed: mpsc::UnboundedReceiver<String>,
}

/// How the workers of all modules ended.
pub(super) struct StoppedWorkers {
    /// Those that did not stop in time, as `module/worker`.
    pub(super) aborted: Vec<String>,
    /// What the first one said that panicked while it stopped.
    pub(super) failure: Option<String>,
}

struct RunningWorker {
    module: &'static str,
    name: &'static str,
    stop_within: Duration,
    task: Task<()>,
}

impl Workers {
    /// Starts them all.
    pub(super) fn start(workers: Vec<(&'static str, Worker)>) -> Self {
        let stop = CancellationToken::new();
        // Bounded by the number of workers: each sends at most once.
        let (fail, failed) = mpsc::unbounded_channel();
        let running = workers
            .into_iter()
            .map(|(module, worker)| {
                let work = (worker.run)(stop.clone());
                let (fail, stop) = (fail.clone(), stop.clone());
                let name = worker.name;
                let task = task::spawn("worker", async move {
                    let result = std::panic::AssertUnwindSafe(work).catch_unwind().await;
                    match result {
                        Ok(()) if stop.is_cancelled() => {}
                        Ok(()) => tracing::warn!(module, worker = name, "a worker ended by itself"),
                        Err(payload) => {
                            let text = task::panic_text(&*payload).to_owned();
                            let _ = fail.send(format!("worker {module}/{name} panicked: {text}"));
                        }
                    }
                });
                RunningWorker {
                    module,
                    name,
                    stop_within: worker.stop_within,
                    task,
                }
            })
            .collect();
        Self {
            stop,
            running,
            failed,
        }
    }

    /// Waits until one fails.
    pub(super) async fn failure(&mut self) -> String {
        match self.failed.recv().await {
            Some(reason) => reason,
            // Every sender is gone because every worker has ended: none can fail any more.
            None => std::future::pending().await,
        }
    }

    /// Tells all to stop and waits for each within its bound, none beyond `end`.
    pub(super) async fn stop(mut self, end: Instant) -> StoppedWorkers {
        self.stop.cancel();
        let stopping = self.running.into_iter().map(|worker| worker.stopped(end));
        let aborted = join_all(stopping).await;
        StoppedWorkers {
            aborted: aborted.into_iter().flatten().collect(),
            failure: self.failed.try_recv().ok(),
        }
    }
}

impl RunningWorker {
    /// Waits for its end; its name, if it had to be aborted.
    async fn stopped(mut self, end: Instant) -> Option<String> {
        let bound = (Instant::now() + self.stop_within).min(end);
        if timeout_at(bound, &mut self.task).await.is_ok() {
            return None;
        }
        tracing::error!(
            module = self.module,
            worker = self.name,
            "a worker did not stop in time and is aborted"
        );
        self.task.abort();
        Some(format!("{}/{}", self.module, self.name))
    }
}

/// Closes one after the other, none beyond `end`.
pub(super) async fn close(closers: Vec<Closer>, end: Instant) {
    for closer in closers {
        let bound = (Instant::now() + CLOSE_WITHIN).min(end);
        if timeout_at(bound, (closer.close)()).await.is_err() {
            tracing::warn!(closer = closer.name, "did not close in time");
        }
    }
}
