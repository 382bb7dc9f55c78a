use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stanchion_runtime::task;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::assemble::{Assembled, trusted};
use super::prune::Pruning;
use super::stop::{AdminPort, StopTimes, Stopping};
use super::workers::Workers;
use super::{Addresses, Running, Stopped};
use crate::net::{
    App, BodyRate, ConnectionLimits, Gone, Listener, Moments, Serving, Tls, look_after,
};
use crate::service::{Module, Role, ServerSettings, State, Worker};
use crate::stack::Stack;
use crate::{Service, admin};

/// How long a stop goes on serving when nobody sits at a terminal.
const LAME_DUCK: Duration = Duration::from_secs(5);
/// Connections the operator's port takes.
const ADMIN_CONNECTIONS_MAX: usize = 64;

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {error}; is another process there?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The settings do not fit.
    #[error("{0}")]
    Settings(String),
}

/// What it listens on.
struct Ports {
    public: Option<TcpListener>,
    admin: Option<TcpListener>,
    public_tls: Option<Arc<Tls>>,
    admin_tls: Option<Arc<Tls>>,
}

impl Service {
    /// Listens and starts the workers.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    ///
    /// # Panics
    /// Two routes or operations are the same.
    pub async fn start(mut self) -> Result<Running, StartError> {
        let on_started = self.on_started.take();
        let assembled = self.assemble()?;
        let refused = |port: &str, problem| StartError::Settings(format!("{port}.{problem}"));
        let public_tls = Tls::of(&self.settings.tls).await;
        let public_tls = public_tls.map_err(|problem| refused("server", problem))?;
        let admin_tls = match &self.admin {
            Some(admin) => Tls::of(&admin.tls).await,
            None => Ok(None),
        };
        let admin_tls = admin_tls.map_err(|problem| refused("admin", problem))?;
        let serves = self.role != Role::Worker;
        let gone = Gone::where_writes_take(self.settings.write_timeout);
        let public = if serves {
            Some(bind(self.settings.listen, gone).await?)
        } else {
            None
        };
        let admin = match &self.admin {
            Some(admin) => Some(bind(admin.listen, gone).await?),
            None => None,
        };
        let addresses = Addresses {
            public: public.as_ref().and_then(|socket| socket.local_addr().ok()),
            admin: admin.as_ref().and_then(|socket| socket.local_addr().ok()),
        };
        let ports = Ports {
            public,
            admin,
            public_tls,
            admin_tls,
        };
        let running = self.launch(assembled, ports, addresses);
        if let Some(tell) = on_started {
            tell(&addresses);
        }
        Ok(running)
    }

    fn launch(self, assembled: Assembled, ports: Ports, addresses: Addresses) -> Running {
        let Assembled {
            around,
            health,
            stack,
            waits,
            mut modules,
            routes,
            grpc_health,
        } = assembled;
        let mut closers = Vec::new();
        let admin = ports
            .admin
            .zip(self.admin.as_ref())
            .map(|(socket, settings)| {
                let operated = (self.subjects.clone(), self.keys.clone());
                let admission = Arc::clone(&stack.lent.admission);
                let port = admin::port(
                    settings,
                    &self.metrics,
                    &health,
                    &modules,
                    operated,
                    routes,
                    admission,
                );
                closers.push(port.closer);
                self.open_admin(socket, App::Admin(port.router), ports.admin_tls, &stack)
            });
        let moments = Moments::default();
        let connections = TaskTracker::new();
        let accepting = ports.public.map(|socket| {
            let app = App::Public(around);
            let mut listener =
                self.listener(socket, app, moments.clone(), connections.clone(), &stack);
            listener.serving.tls = ports.public_tls;
            task::spawn("accept", listener.run())
        });
        let mut workers = workers(&mut modules);
        workers.retain(|(_, worker)| self.role != Role::Api || worker.in_every_role);
        let workers = Workers::start(workers);
        closers.extend(modules.into_iter().flat_map(|module| module.closers));
        closers.extend(self.closers);
        health.enter(State::Ready);
        if let Some(keeper) = grpc_health {
            let telling = moments.telling.moment().clone();
            let _kept = task::spawn("grpc-health", keeper.follow(health.clone(), telling));
        }
        let stopping = Stopping {
            times: stop_times(&self.settings),
            health,
            moments,
            waits,
            accepting,
            connections,
            in_flight: stack.in_flight,
            metrics: stack.metrics,
            workers,
            closers,
            admin,
        };
        let stop = CancellationToken::new();
        let supervision = task::spawn("supervise", supervise(stopping, stop.clone()));
        Running {
            addresses,
            stop,
            supervision: Some(supervision),
        }
    }

    fn listener(
        &self,
        socket: TcpListener,
        app: App,
        moments: Moments,
        connections: TaskTracker,
        stack: &Stack,
    ) -> Listener {
        Listener {
            name: "public",
            socket,
            serving: Serving {
                app,
                limits: limits(&self.settings),
                moments,
                tls: None,
                metrics: stack.metrics.clone(),
            },
            connections_max: self.settings.connections_max,
            per_address_max: self.settings.connections_per_address_max,
            trusted: trusted(&self.settings),
            connections,
        }
    }

    fn open_admin(
        &self,
        socket: TcpListener,
        app: App,
        tls: Option<Arc<Tls>>,
        stack: &Stack,
    ) -> AdminPort {
        let moments = Moments::default();
        let mut listener = Listener {
            name: "admin",
            connections_max: ADMIN_CONNECTIONS_MAX,
            per_address_max: ADMIN_CONNECTIONS_MAX,
            ..self.listener(socket, app, moments.clone(), TaskTracker::new(), stack)
        };
        listener.serving.tls = tls;
        AdminPort {
            moments,
            accepting: task::spawn("accept-admin", listener.run()),
        }
    }
}

/// Waits for a reason to stop, then stops.
async fn supervise(mut stopping: Stopping, stop: CancellationToken) -> Stopped {
    let failure = tokio::select! {
        () = stop.cancelled() => None,
        reason = stopping.workers.failure() => Some(reason),
    };
    if let Some(reason) = &failure {
        tracing::error!(reason, "stopping because of a failure");
    }
    let stopped = stopping.run().await;
    failure.map_or(stopped, Stopped::Failed)
}

/// Every module's own workers, and one that forgets what is old.
fn workers(modules: &mut [Module]) -> Vec<(&'static str, Worker)> {
    let mut workers = Vec::new();
    for module in modules {
        if let Some(pruning) = Pruning::of(module) {
            let worker = Worker::new("prune-inbox", |stop| pruning.run(stop));
            workers.push((module.name, worker));
        }
        workers.extend(module.workers.drain(..).map(|worker| (module.name, worker)));
    }
    workers
}

async fn bind(address: SocketAddr, gone: Gone) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| StartError::Listen { address, error })?;
    look_after(&listener, gone);
    Ok(listener)
}

fn limits(settings: &ServerSettings) -> ConnectionLimits {
    ConnectionLimits {
        header: settings.header_timeout,
        idle: settings.idle_timeout,
        write: settings.write_timeout,
        body: BodyRate {
            minimum: settings.body_rate_min.0,
            grace: settings.header_timeout,
        },
        streams: settings.http2_streams_max,
    }
}

fn stop_times(settings: &ServerSettings) -> StopTimes {
    let usual = if std::io::stdout().is_terminal() {
        Duration::ZERO
    } else {
        LAME_DUCK
    };
    StopTimes {
        lame_duck: settings.lame_duck.unwrap_or(usual),
        idle_grace: settings.idle_grace,
        drain: settings.drain,
        whole: settings.stop,
    }
}
