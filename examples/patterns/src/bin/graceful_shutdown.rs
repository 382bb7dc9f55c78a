//! Graceful shutdown: a service that is told to stop answers what it has taken.
//!
//! The usual defects: the listener closes at once while the balancer still sends; requests under way are cut off by the
//! end of the process; workers are dropped in the middle of a job; and one stuck request holds the stop for ever. Here
//! the stop is a protocol: not ready, keep serving for a while, stop accepting, drain, stop the workers, close the
//! stores; each step bounded, and whatever did not end in time is named.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::routing::get;
use stanchion::runtime::task;
use stanchion::server::{Module, ServerSettings, Service, Stopped};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = ServerSettings {
        listen: "127.0.0.1:0".parse()?,
        lame_duck: Some(Duration::from_millis(100)),
        ..ServerSettings::default()
    };
    let gave_back = Arc::new(AtomicBool::new(false));
    let told = gave_back.clone();
    let report = async || {
        sleep(Duration::from_millis(400)).await;
        "the report"
    };
    let module = Module::new("reports")
        .http_router(Router::new().route("/report", get(report)))
        .worker("mailer", move |stop| async move {
            stop.cancelled().await;
            told.store(true, Ordering::Relaxed);
        });
    let mut running = Service::new(settings).mount(module).start().await?;
    let address = running.addresses().public.context("it listens")?;

    let under_way = task::spawn("client", ask(address, "/report"));
    sleep(Duration::from_millis(50)).await;
    running.stop();
    sleep(Duration::from_millis(50)).await;
    let ready = ask(address, "/ready").await?;
    println!("in the lame-duck time, /ready: {}", first_line(&ready));
    assert!(ready.starts_with("HTTP/1.1 503"));

    let answer = under_way.await??;
    println!("the request under way: {}", first_line(&answer));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("the report"));
    let stopped = running.stopped().await;
    println!(
        "stopped: {stopped:?}, worker gave back: {}",
        gave_back.load(Ordering::Relaxed)
    );
    assert!(matches!(stopped, Stopped::Clean) && gave_back.load(Ordering::Relaxed));
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
    Ok(())
}

async fn ask(address: std::net::SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn first_line(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}
