//! Projections on the operator's port and command line, and a halted one in `/ready`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::Value;
use stanchion_eventsourcing::{
    Difference, LogId, MemoryLog, OperatedProjection, Position, ProjectionState, ProjectionStatus,
    Verified,
};
use stanchion_server::{AdminSettings, Module, Options, Running, Service, ServiceCli, Stopped};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::api::Api;
use super::shop::{service, settings};
use super::sockets::Line;

/// A projection that does what the test says.
pub struct Probe {
    name: &'static str,
    state: Mutex<(ProjectionState, Option<String>)>,
    /// What a rebuild or a verification waits for.
    go: Semaphore,
    different: u64,
}

impl Probe {
    pub fn new(name: &'static str) -> Arc<Self> {
        Self::with(name, 0)
    }

    /// One whose rows are not what its log says.
    pub fn with(name: &'static str, different: u64) -> Arc<Self> {
        Arc::new(Self {
            name,
            state: Mutex::new((ProjectionState::Following, None)),
            go: Semaphore::new(0),
            different,
        })
    }

    pub fn enter(&self, state: ProjectionState, reason: Option<&str>) {
        *self.state.lock() = (state, reason.map(str::to_owned));
    }

    /// Lets one rebuild or verification come to its end.
    pub fn go(&self) {
        self.go.add_permits(1);
    }

    pub fn state(&self) -> ProjectionState {
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
pub fn with(probes: &[&Arc<Probe>]) -> Service {
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

/// The exit code of the command line of a service that is put together like this.
async fn operate(service: Service, line: &str) -> u8 {
    let arguments = std::iter::once("shop").chain(line.split(' '));
    let build = async |_: Options| -> Result<Service, Stopped> { Ok(service) };
    let cli = ServiceCli::new("shop", "1.0.0", build);
    cli.main_with(arguments.map(OsString::from)).await.code()
}

pub async fn start(probes: &[&Arc<Probe>]) -> (Running, SocketAddr) {
    let admin = admin("127.0.0.1:0".parse().unwrap());
    let running = with(probes).admin(admin).start().await.unwrap();
    let address = running.addresses().admin.unwrap();
    (running, address)
}

/// The status and what was said.
async fn ask(address: SocketAddr, line: &str) -> (u16, Value) {
    let mut connection = Line::open(address).await;
    connection
        .say(&format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
    let (head, body) = connection.answer().await.unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(&body).unwrap_or_default())
}

/// Looks at the projection until its work has come to an end.
async fn ended(address: SocketAddr, name: &str) -> Value {
    loop {
        let (_, shown) = ask(address, &format!("GET /projections/inventory/{name}")).await;
        if shown["work"]["state"] != "running" {
            return shown["work"].clone();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn they_are_listed_paused_and_resumed() {
    let (stock, prices) = (Probe::new("stock"), Probe::new("prices"));
    let (_running, address) = start(&[&stock, &prices]).await;
    prices.enter(ProjectionState::Waiting, None);
    let (status, listed) = ask(address, "GET /projections").await;
    assert_eq!(status, 200);
    let first = &listed["data"][0];
    assert_eq!(
        (&first["module"], &first["name"], &first["state"]),
        (
            &Value::from("inventory"),
            &Value::from("stock"),
            &Value::from("following")
        )
    );
    assert_eq!((&first["position"], &first["lag"]), (&3.into(), &2.into()));
    assert_eq!(
        listed["data"][1]["error"], "the store is out",
        "of one alone"
    );

    let paused = ask(address, "POST /projections/inventory/stock/pause").await;
    assert_eq!((paused.0, stock.state()), (204, ProjectionState::Paused));
    let resumed = ask(address, "POST /projections/inventory/stock/resume").await;
    assert_eq!(
        (resumed.0, stock.state()),
        (204, ProjectionState::Following)
    );
    let (status, retried) = ask(address, "POST /projections/inventory/stock/retry").await;
    assert_eq!((status, &retried["due"]), (200, &7.into()));
}

#[tokio::test]
async fn a_wrong_name_is_told_with_those_there_are() {
    let stock = Probe::new("stock");
    let (_running, address) = start(&[&stock]).await;
    for (line, says) in [
        (
            "GET /projections/inventory/prices",
            "there are: inventory/stock",
        ),
        (
            "POST /projections/inventory/prices/pause",
            "there are: inventory/stock",
        ),
        (
            "POST /projections/orders/stock/pause",
            "no projection orders/stock",
        ),
        (
            "POST /projections/inventory/stock/explode",
            "there are: pause, resume",
        ),
        (
            "POST /projections/inventory/stock/cancel-rebuild",
            "no rebuild",
        ),
    ] {
        let (status, told) = ask(address, line).await;
        assert_eq!(status, 404, "{line}");
        let told = told["error"].as_str().unwrap().to_owned();
        assert!(told.contains(says), "{line}: {told}");
    }
    assert_eq!(stock.state(), ProjectionState::Following);
}

#[tokio::test]
async fn a_verification_goes_on_by_itself_and_says_what_differs() {
    let stock = Probe::with("stock", 2);
    let (_running, address) = start(&[&stock]).await;
    let (status, begun) = ask(address, "POST /projections/inventory/stock/verify").await;
    assert_eq!((status, &begun["state"]), (202, &"running".into()));
    stock.go();
    let work = ended(address, "stock").await;
    assert_eq!(
        (&work["id"], &work["kind"], &work["state"]),
        (&begun["id"], &"verify".into(), &"verified".into())
    );
    assert_eq!(work["verified"]["different"], 2);
    assert_eq!(work["verified"]["examples"][1]["live"], "MUG, 3");
    assert!(work["ended_at"].is_string());
}

#[tokio::test]
async fn one_rebuild_or_verification_runs_at_a_time() {
    let (stock, prices) = (Probe::new("stock"), Probe::new("prices"));
    let (_running, address) = start(&[&stock, &prices]).await;
    let begun = ask(address, "POST /projections/inventory/stock/rebuild").await;
    assert_eq!(begun.0, 202);
    for second in ["stock/rebuild", "prices/verify"] {
        let (status, told) = ask(address, &format!("POST /projections/inventory/{second}")).await;
        assert_eq!(status, 409, "{second}");
        let told = told["error"].as_str().unwrap().to_owned();
        assert!(
            told.contains("a rebuild of inventory/stock is under way"),
            "{told}"
        );
    }
    stock.go();
    let work = ended(address, "stock").await;
    assert_eq!(
        (&work["state"], &work["position"]),
        (&"rebuilt".into(), &5.into())
    );
    prices.go();
    let next = ask(address, "POST /projections/inventory/prices/verify").await;
    assert_eq!(next.0, 202);
    assert_eq!(ended(address, "prices").await["state"], "verified");
}

#[tokio::test]
async fn a_rebuild_that_panics_is_a_failure_of_its_own() {
    let stock = Probe::new("stock");
    let (_running, address) = start(&[&stock]).await;
    stock.enter(ProjectionState::Halted, Some("an entry it cannot read"));
    stock.go();
    let begun = ask(address, "POST /projections/inventory/stock/rebuild").await;
    assert_eq!(begun.0, 202);
    let work = ended(address, "stock").await;
    assert_eq!(work["state"], "failed");
    assert_eq!(work["error"], "it panicked: a rebuild that panics");
    assert_eq!(ask(address, "GET /projections").await.0, 200);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_verification() {
    let stock = Probe::new("stock");
    let (mut running, address) = start(&[&stock]).await;
    let begun = ask(address, "POST /projections/inventory/stock/verify").await;
    assert_eq!(begun.0, 202);
    running.stop();
    let stopped = tokio::time::timeout(Duration::from_secs(20), running.stopped()).await;
    assert_eq!(stopped.unwrap().code(), 0);
    assert_eq!(Arc::strong_count(&stock), 1, "nobody is at it any more");
}

#[tokio::test]
async fn a_halted_projection_is_degraded_and_the_service_still_ready() {
    let (stock, prices) = (Probe::new("stock"), Probe::new("prices"));
    stock.enter(ProjectionState::Halted, Some("halted at position 4: why"));
    prices.enter(ProjectionState::Paused, None);
    let service = Service::new(settings()).mount(inventory(&[&stock, &prices]));
    let api = Api(service.into_router().unwrap());
    let got = api.get("//ready").await;
    let told = got.json();
    assert_eq!((got.status, &told["status"]), (200, &"degraded".into()));
    assert_eq!(
        told["checks"]["projection/stock"]["status"],
        "unhealthy: halted at position 4: why"
    );
    assert_eq!(told["checks"]["projection/prices"]["status"], "healthy");
}

#[tokio::test]
async fn the_command_line_asks_the_service_that_runs() {
    let (theirs, ours) = (Probe::with("stock", 1), Probe::new("stock"));
    let (_running, address) = start(&[&theirs]).await;
    let service = || with(&[&ours]).admin(admin(address));
    assert_eq!(operate(service(), "projections").await, 0);
    assert_eq!(operate(service(), "projections pause stock").await, 0);
    assert_eq!(
        (theirs.state(), ours.state()),
        (ProjectionState::Paused, ProjectionState::Following)
    );
    let resume = "projections resume inventory/stock";
    assert_eq!(operate(service(), resume).await, 0);
    assert_eq!(theirs.state(), ProjectionState::Following);
    assert_eq!(operate(service(), "projections retry stock").await, 0);
    theirs.go();
    assert_eq!(operate(service(), "projections rebuild stock").await, 0);
    theirs.go();
    let verify = "projections verify stock";
    assert_eq!(operate(service(), verify).await, 1, "its rows differ");
    let cancel = "projections cancel-rebuild stock";
    assert_eq!(operate(service(), cancel).await, 1, "there is none");
}

#[tokio::test]
async fn without_the_service_the_command_line_goes_to_the_store() {
    let ours = Probe::new("stock");
    let free = nobody_s();
    let service = || with(&[&ours]).admin(admin(free));
    assert_eq!(operate(service(), "projections list").await, 0);
    assert_eq!(operate(service(), "projections pause stock").await, 0);
    assert_eq!(ours.state(), ProjectionState::Paused);
    ours.go();
    assert_eq!(operate(service(), "projections verify stock").await, 0);
    ours.go();
    assert_eq!(
        operate(with(&[&ours]), "projections rebuild stock").await,
        0
    );
}

#[tokio::test]
async fn a_service_over_another_log_is_not_asked() {
    let (theirs, ours) = (Probe::new("stock"), Probe::new("stock"));
    let (_running, address) = start(&[&theirs]).await;
    let module = inventory(&[&ours]).log(Arc::new(MemoryLog::new()));
    let service = service().mount(module).admin(admin(address));
    assert_eq!(operate(service, "projections pause stock").await, 0);
    assert_eq!(
        (theirs.state(), ours.state()),
        (ProjectionState::Following, ProjectionState::Paused)
    );
}

#[tokio::test]
async fn a_name_that_is_nobody_s_or_several_s_is_bad_usage() {
    let ours = Probe::new("stock");
    let orders = || Module::new("orders").projection(Probe::new("stock"));
    let service = || with(&[&ours]).mount(orders());
    for (line, code) in [
        ("projections pause stock", 2),
        ("projections pause nobody", 2),
        ("projections pause orders/nobody", 2),
        ("projections explode stock", 2),
        ("projections pause inventory/stock", 0),
        ("projections pause stock --modules inventory", 0),
    ] {
        assert_eq!(operate(service(), line).await, code, "{line}");
    }
}

/// An address where nobody listens.
fn nobody_s() -> SocketAddr {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    taken.local_addr().unwrap()
}
