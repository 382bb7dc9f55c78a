//! Projections on the operator's port and command line, and a halted one in `/ready`.

mod command_line;
mod port;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use stanchion_eventsourcing::{
    Difference, LogId, OperatedProjection, Position, ProjectionState, ProjectionStatus, Verified,
};
use stanchion_server::{AdminSettings, Module, Running, Service};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::shop::service;

/// A projection that does what the test says.
struct Probe {
    name: &'static str,
    state: Mutex<(ProjectionState, Option<String>)>,
    /// What a rebuild or a verification waits for.
    go: Semaphore,
    different: u64,
}

impl Probe {
    fn new(name: &'static str) -> Arc<Self> {
        Self::with(name, 0)
    }

    /// One whose rows are not what its log says.
    fn with(name: &'static str, different: u64) -> Arc<Self> {
        Arc::new(Self {
            name,
            state: Mutex::new((ProjectionState::Following, None)),
            go: Semaphore::new(0),
            different,
        })
    }

    fn enter(&self, state: ProjectionState, reason: Option<&str>) {
        *self.state.lock() = (state, reason.map(str::to_owned));
    }

    /// Lets one rebuild or verification come to its end.
    fn go(&self) {
        self.go.add_permits(1);
    }

    fn state(&self) -> ProjectionState {
        self.state.lock().0
    }

    async fn gone(&self) {
        self.go.acquire().await.unwrap().forget();
    }
}

#[async_trait]
impl OperatedProjection for Probe {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn status(&self) -> Result<ProjectionStatus, String> {
        let (state, reason) = self.state.lock().clone();
        if state == ProjectionState::Waiting {
            return Err("the store is out".into());
        }
        Ok(ProjectionStatus {
            name: self.name,
            log: LogId(Uuid::nil()),
            state,
            reason,
            position: Position(3),
            head: Position(5),
            lag: 2,
            lag_seconds: 1,
            parked: 0,
            parked_seconds: 0,
            parked_reason: None,
            rebuild: None,
        })
    }

    async fn pause(&self) -> Result<(), String> {
        self.enter(ProjectionState::Paused, None);
        Ok(())
    }

    async fn resume(&self) -> Result<(), String> {
        self.enter(ProjectionState::Following, None);
        Ok(())
    }

    async fn rebuild(&self) -> Result<Position, String> {
        self.gone().await;
        match self.state() {
            ProjectionState::Halted => panic!("a rebuild that panics"),
            _ => Ok(Position(5)),
        }
    }

    async fn cancel_rebuild(&self) -> Result<bool, String> {
        Ok(self.state() == ProjectionState::Paused)
    }

    async fn verify(&self) -> Result<Verified, String> {
        self.gone().await;
        let example = Difference {
            table: "stock".into(),
            key: "MUG".into(),
            live: Some("MUG, 3".into()),
            replayed: None,
        };
        Ok(Verified {
            position: Position(5),
            rows: 10,
            different: self.different,
            examples: vec![example; self.different as usize],
        })
    }

    async fn retry_parked(&self) -> Result<u64, String> {
        Ok(7)
    }
}

/// A service with these projections in the module `inventory`.
fn with(probes: &[&Arc<Probe>]) -> Service {
    service().mount(inventory(probes))
}

fn inventory(probes: &[&Arc<Probe>]) -> Module {
    let inventory = Module::new("inventory");
    probes.iter().fold(inventory, |module, probe| {
        module.projection(Arc::<Probe>::clone(probe))
    })
}

fn admin(listen: SocketAddr) -> AdminSettings {
    AdminSettings {
        listen,
        ..AdminSettings::default()
    }
}

async fn start(probes: &[&Arc<Probe>]) -> (Running, SocketAddr) {
    let admin = admin("127.0.0.1:0".parse().unwrap());
    let running = with(probes).admin(admin).start().await.unwrap();
    let address = running.addresses().admin.unwrap();
    (running, address)
}
