use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Stopped;
use crate::Service;

/// What tells a process to stop.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Builds a service and runs it until told to stop; a signal while it is being built is a clean end.
///
/// What `build` had begun then is dropped at its next await: stores roll back, nothing was served.
/// A first SIGTERM or SIGINT begins the stop protocol, a second one ends the process at once.
pub async fn run<E: Into<Stopped>>(build: impl Future<Output = Result<Service, E>>) -> Stopped {
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return Stopped::Failed(format!("cannot listen for signals: {error}")),
    };
    let service = tokio::select! {
        built = build => match built {
            Ok(service) => service,
            Err(error) => return error.into(),
        },
        name = signals.next() => {
            tracing::info!(signal = name, "stopped while starting");
            return Stopped::Clean;
        }
    };
    let started = tokio::select! {
        started = service.start() => started,
        name = signals.next() => {
            tracing::info!(signal = name, "stopped while starting");
            return Stopped::Clean;
        }
    };
    let mut running = match started {
        Ok(running) => running,
        Err(error) => return error.into(),
    };
    tokio::select! {
        stopped = running.stopped() => return stopped,
        name = signals.next() => tracing::info!(signal = name, "stopping"),
    }
    running.stop();
    tokio::select! {
        stopped = running.stopped() => stopped,
        name = signals.next() => {
            tracing::warn!(signal = name, "told twice: ending at once");
            std::process::exit(1)
        }
    }
}

impl Service {
    /// Runs until SIGTERM or SIGINT, then stops by the protocol; a second signal ends at once.
    pub async fn run(self) -> Stopped {
        run(std::future::ready(Ok::<_, Stopped>(self))).await
    }
}
