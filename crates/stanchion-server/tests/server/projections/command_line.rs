use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;

use stanchion_eventsourcing::{MemoryLog, ProjectionState};
use stanchion_server::{AdminSettings, Module, Options, Service, ServiceCli, Stopped};

use super::{Probe, admin, inventory, start, with};
use crate::shop::service;

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
    // The same command under the other name that it is looked for.
    let resume = "log projections resume inventory/stock";
    assert_eq!(operate(service(), resume).await, 0);
    assert_eq!(theirs.state(), ProjectionState::Following);
    assert_eq!(operate(service(), "log projections").await, 0);
    assert_eq!(operate(service(), "projections status").await, 0);
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
async fn a_service_with_a_token_obeys_whoever_knows_it() {
    let (theirs, ours) = (Probe::new("stock"), Probe::new("stock"));
    let knowing = |listen| AdminSettings {
        token: Some("open sesame".into()),
        ..admin(listen)
    };
    let guarded = knowing("127.0.0.1:0".parse().unwrap());
    let running = with(&[&theirs]).admin(guarded).start().await.unwrap();
    let address = running.addresses().admin.unwrap();
    let service = || with(&[&ours]);
    let pause = "projections pause stock";
    let stranger = service().admin(admin(address));
    assert_eq!(operate(stranger, pause).await, 1);
    let states = || (theirs.state(), ours.state());
    let following = ProjectionState::Following;
    assert_eq!(states(), (following, following), "nor on the store");
    let operator = service().admin(knowing(address));
    assert_eq!(operate(operator, pause).await, 0);
    assert_eq!(states(), (ProjectionState::Paused, following));
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
        ("log projections explode stock", 2),
        ("projections pause inventory/stock", 0),
        ("projections pause stock --modules inventory", 0),
    ] {
        assert_eq!(operate(service(), line).await, code, "{line}");
    }
}

/// The exit code of the command line of a service that is put together like this.
async fn operate(service: Service, line: &str) -> u8 {
    let arguments = std::iter::once("shop").chain(line.split(' '));
    let build = async |_: Options| -> Result<Service, Stopped> { Ok(service) };
    let cli = ServiceCli::new("shop", "1.0.0", build);
    cli.main_with(arguments.map(OsString::from)).await.code()
}

/// An address where nobody listens.
fn nobody_s() -> SocketAddr {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    taken.local_addr().unwrap()
}
