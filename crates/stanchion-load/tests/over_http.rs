//! Over real sockets: kept connections, ones that servers close, answers that are no success.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use stanchion_load::{Caller, Connection, Failure, Load, Request, Scenario, Target};
use stanchion_runtime::task;
use support::server;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"seen\":true}";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

fn second(target: Target) -> Load {
    Load::new(target)
        .rate(300.0)
        .duration(Duration::from_secs(1))
        .connections(8)
}

#[tokio::test]
async fn connections_are_kept() {
    let (target, served) = server(OK, u64::MAX).await;
    let load = second(target).scenario("get", 1, Request::get("/"));
    let report = load.run().await.unwrap();
    assert_eq!(
        (report.requests, report.errors),
        (300, 0),
        "{}",
        report.text()
    );
    assert_eq!(report.connections_opened, 8);
    assert_eq!(served.load(Ordering::Relaxed), 300);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced_in_silence() {
    let (target, served) = server(OK, 10).await;
    let load = second(target).scenario("get", 1, Request::get("/"));
    let report = load.run().await.unwrap();
    assert_eq!(
        (report.requests, report.errors),
        (300, 0),
        "{}",
        report.text()
    );
    assert!(report.connections_opened >= 30, "{}", report.text());
    assert_eq!(served.load(Ordering::Relaxed), 300);
}

#[tokio::test]
async fn an_answer_that_is_no_success_is_an_error_of_its_kind() {
    let (target, _) = server(BUSY, u64::MAX).await;
    let load = second(target).scenario("get", 1, Request::get("/"));
    let report = load.run().await.unwrap();
    assert_eq!((report.errors, report.achieved_rate), (300, 0.0));
    assert_eq!(report.failures["status 503"], 300);
}

/// A scenario of a user's own: it looks into the answer.
struct Looking;

#[async_trait]
impl Scenario for Looking {
    async fn run(&self, caller: &mut Caller) -> Result<(), Failure> {
        let request = Request::post("/look")
            .authorization("Bearer token")
            .json(&caller.number);
        let answer = caller.connection.send(&request).await?.expect(200)?;
        let answer: serde_json::Value = answer.json()?;
        if answer["seen"] == true {
            return Ok(());
        }
        Err(Failure::Unexpected("not seen"))
    }
}

#[tokio::test]
async fn a_scenario_may_look_into_the_answer() {
    let (target, _) = server(OK, u64::MAX).await;
    let report = second(target).scenario("look", 1, Looking).run().await;
    assert_eq!(report.unwrap().errors, 0);
}

#[tokio::test]
async fn an_endless_body_is_not_kept() {
    const LONG: &str = "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let _serving = task::spawn("server", async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(LONG.as_bytes()).await.unwrap();
        while stream.write_all(&[b' '; 65_536]).await.is_ok() {}
    });
    let mut connection = Connection::new(Arc::new(Target::parse(&url).unwrap()));
    let failed = connection.send(&Request::get("/")).await.unwrap_err();
    assert!(matches!(failed, Failure::Transport(_)), "{failed}");
}
