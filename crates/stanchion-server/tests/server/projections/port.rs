use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use stanchion_eventsourcing::ProjectionState;
use stanchion_server::Service;

use super::{Probe, inventory, start};
use crate::api::Api;
use crate::shop::settings;
use crate::sockets::ask;

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
async fn a_rebuild_is_given_up_and_a_verification_is_none() {
    let stock = Probe::new("stock");
    let (_running, address) = start(&[&stock]).await;
    // This probe has a rebuild to give up while it is paused.
    ask(address, "POST /projections/inventory/stock/pause").await;
    let cancel = "POST /projections/inventory/stock/cancel-rebuild";
    assert_eq!(ask(address, cancel).await.0, 204);
    ask(address, "POST /projections/inventory/stock/verify").await;
    let (status, told) = ask(address, cancel).await;
    assert_eq!(status, 409);
    let told = told["error"].as_str().unwrap().to_owned();
    assert!(told.contains("a verification is under way"), "{told}");
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
