//! The people in a service's data, on the operator's port and command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;
use stanchion_eventsourcing::{
    LogId, Metadata, Position, Resealed, Shredded, Subjects, SubjectsError,
};
use stanchion_server::{AdminSettings, Options, Running, Service, ServiceCli, Stopped};
use uuid::Uuid;

use crate::shop::service;
use crate::sockets::ask;

/// Subjects that the test looks into: `last` may not go, `out` meets a store that is out.
struct Probe {
    log: LogId,
    shredded: Mutex<Vec<String>>,
    /// Keys that another master key seals.
    left: Mutex<u64>,
}

impl Probe {
    fn new(log: u128, left: u64) -> Arc<Self> {
        Arc::new(Self {
            log: LogId(Uuid::from_u128(log)),
            shredded: Mutex::default(),
            left: Mutex::new(left),
        })
    }

    fn shredded(&self) -> Vec<String> {
        self.shredded.lock().clone()
    }
}

#[async_trait]
impl Subjects for Probe {
    fn log(&self) -> LogId {
        self.log
    }

    async fn shred(&self, subject: &str, metadata: &Metadata) -> Result<Shredded, SubjectsError> {
        match subject {
            "last" => return Err(SubjectsError::Refused("the last one must stay".into())),
            "out" => return Err(SubjectsError::Unavailable("the store is out".into())),
            _ => {}
        }
        let by = metadata.principal.as_deref().unwrap_or_default();
        self.shredded.lock().push(format!("{subject} by {by}"));
        Ok(Shredded {
            subject: subject.to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
            log: self.log,
            position: Position(3),
            event: Uuid::nil(),
            snapshots: 1,
        })
    }

    async fn reseal(&self, limit: usize) -> Result<Resealed, SubjectsError> {
        let mut left = self.left.lock();
        // One of them is sealed by another process again and again.
        let resealed = left.saturating_sub(1).min(limit as u64);
        *left -= resealed;
        let left = if *left > 0 {
            vec!["0123".to_owned()]
        } else {
            vec![]
        };
        Ok(Resealed { resealed, left })
    }
}

fn with(probe: &Arc<Probe>) -> Service {
    service().subjects(Arc::<Probe>::clone(probe))
}

fn admin(listen: SocketAddr) -> AdminSettings {
    AdminSettings {
        listen,
        ..AdminSettings::default()
    }
}

async fn start(service: Service) -> (Running, SocketAddr) {
    let admin = admin("127.0.0.1:0".parse().unwrap());
    let running = service.admin(admin).start().await.unwrap();
    let address = running.addresses().admin.unwrap();
    (running, address)
}

#[tokio::test]
async fn one_is_shredded_and_the_keys_are_resealed_through_the_port() {
    let probe = Probe::new(1, 2_500);
    let (_running, address) = start(with(&probe)).await;
    let (status, shown) = ask(address, "GET /subjects").await;
    assert_eq!((status, &shown["log"]), (200, &json!(probe.log)));
    let (status, proof) = ask(address, "POST /subjects/ada%20l/shred").await;
    assert_eq!((status, &proof["position"]), (200, &json!(3)));
    assert_eq!(probe.shredded(), ["ada l by operator"]);
    for (subject, due, why) in [
        ("last", 409, "the last one must stay"),
        ("out", 503, "the store is out"),
    ] {
        let (status, told) = ask(address, &format!("POST /subjects/{subject}/shred")).await;
        assert_eq!((status, &told["error"]), (due, &json!(why)));
    }
    let (status, told) = ask(address, "POST /subjects/reseal").await;
    assert_eq!((status, &told["resealed"]), (200, &json!(1_000)));
    let (_bare, address) = start(service()).await;
    assert_eq!(ask(address, "POST /subjects/ada/shred").await.0, 404);
}

#[tokio::test]
async fn the_command_line_asks_the_service_over_the_same_log_and_no_other() {
    let (theirs, ours, other) = (Probe::new(1, 2), Probe::new(1, 2), Probe::new(2, 2));
    let (_running, address) = start(with(&theirs)).await;
    let by = async |probe: &Arc<Probe>, line: &str| {
        operate(with(probe).admin(admin(address)), line).await
    };
    assert_eq!(by(&ours, "subjects shred ada").await, 0);
    assert_eq!((theirs.shredded().len(), ours.shredded().len()), (1, 0));
    assert_eq!(by(&ours, "subjects shred last").await, 1);
    assert_eq!(by(&other, "subjects shred ada").await, 0);
    assert_eq!((theirs.shredded().len(), other.shredded().len()), (1, 1));
    assert_eq!(by(&other, "subjects shred out").await, 1);
    for wrong in ["subjects", "subjects shred", "subjects bury ada"] {
        assert_eq!(by(&ours, wrong).await, 2, "{wrong}");
    }
    assert_eq!(operate(service(), "subjects shred ada").await, 2);
}

#[tokio::test]
async fn resealing_goes_on_until_nothing_more_can_be_done() {
    let (many, none) = (Probe::new(1, 3_000), Probe::new(1, 0));
    assert_eq!(operate(with(&many), "subjects reseal").await, 1);
    assert_eq!(
        *many.left.lock(),
        1,
        "another process seals with the other key"
    );
    assert_eq!(operate(with(&none), "subjects reseal").await, 0);
}

/// The exit code of the command line of a service that is put together like this.
async fn operate(service: Service, line: &str) -> u8 {
    let arguments = std::iter::once("shop").chain(line.split(' '));
    let build = async |_: Options| -> Result<Service, Stopped> { Ok(service) };
    let cli = ServiceCli::new("shop", "1.0.0", build);
    cli.main_with(arguments.map(OsString::from)).await.code()
}
