//! Services that stop by the protocol while they are called: nobody notices, not even calls that are sent once.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::routing::post;
use futures_util::future::join_all;
use stanchion_client::{Discovery, GrpcChannel, HttpClient};
use stanchion_server::{Anyone, Grpc, Module, Running, ServerSettings, Service, Stopped};
use stanchion_telemetry::Metrics;
use tokio::time::sleep;
use tonic_health::pb::FILE_DESCRIPTOR_SET;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::health_reporter;

use super::host::quick;

async fn service() -> (Running, SocketAddr) {
    let (_, health) = health_reporter();
    let grpc = Grpc::new(health, FILE_DESCRIPTOR_SET);
    let grpc = grpc.allow::<Anyone>("Check").allow::<Anyone>("Watch");
    let ordered = post(async || {
        sleep(Duration::from_millis(5)).await;
        "done"
    });
    let router = axum::Router::new().route("/orders", ordered);
    let settings = ServerSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        lame_duck: Some(Duration::from_millis(300)),
        idle_grace: Duration::from_millis(300),
        ..ServerSettings::default()
    };
    let module = Module::new("restarted").grpc(grpc).http_router(router);
    let running = Service::new(settings).mount(module).start().await.unwrap();
    let address = running.addresses().public.unwrap();
    (running, address)
}

/// Eight callers, one after the other's answer each, until told; what went wrong.
async fn called<F, Fut>(over: &AtomicBool, answered: &AtomicUsize, call: F) -> Vec<String>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let callers = (0..8).map(|_| async {
        let mut wrong = Vec::new();
        while !over.load(Ordering::Relaxed) {
            match call().await {
                Ok(()) => {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => wrong.push(error),
            }
        }
        wrong
    });
    join_all(callers).await.concat()
}

/// Two of three services stop, one after the other.
async fn stopping(services: Vec<Running>, over: &AtomicBool, answered: &AtomicUsize) {
    let mut services = services.into_iter();
    for mut service in services.by_ref().take(2) {
        more(answered).await;
        service.stop();
        let stopped = service.stopped().await;
        assert!(matches!(stopped, Stopped::Clean), "{stopped:?}");
    }
    more(answered).await;
    over.store(true, Ordering::Relaxed);
}

/// Until so many more calls were answered: on a busy machine that takes longer.
async fn more(answered: &AtomicUsize) {
    let enough = answered.load(Ordering::Relaxed) + 30;
    while answered.load(Ordering::Relaxed) < enough {
        sleep(Duration::from_millis(5)).await;
    }
}

async fn three() -> (Vec<Running>, Discovery) {
    let (mut services, mut addresses) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (running, address) = service().await;
        services.push(running);
        addresses.push(address);
    }
    (services, Discovery::fixed(addresses))
}

#[tokio::test]
async fn http_1_calls_that_are_sent_once_survive_the_stop_of_their_hosts() {
    let (services, addresses) = three().await;
    let url = "http://restarted.test";
    let client =
        HttpClient::with_discovery("restarted", url, addresses, &quick(), &Metrics::default());
    let (client, over) = (client.unwrap(), AtomicBool::new(false));
    let call = || async {
        let answer = client.post("/orders").json(&1).send().await;
        answer.map(drop).map_err(|error| error.to_string())
    };
    let answered = AtomicUsize::new(0);
    let calls = called(&over, &answered, call);
    let (wrong, ()) = tokio::join!(calls, stopping(services, &over, &answered));
    assert!(
        wrong.is_empty(),
        "{} of {answered:?}: {:?}",
        wrong.len(),
        wrong.first()
    );
}

#[tokio::test]
async fn grpc_calls_that_are_sent_once_survive_the_stop_of_their_hosts() {
    let (services, addresses) = three().await;
    let url = "http://restarted.test";
    let channel =
        GrpcChannel::with_discovery("restarted", url, addresses, &quick(), &Metrics::default());
    let channel = channel.unwrap().describe(FILE_DESCRIPTOR_SET).unwrap();
    let over = AtomicBool::new(false);
    let call = || async {
        let mut client = HealthClient::new(channel.clone());
        let answer = client.check(HealthCheckRequest::default()).await;
        sleep(Duration::from_millis(2)).await;
        answer.map(drop).map_err(|status| status.to_string())
    };
    let answered = AtomicUsize::new(0);
    let calls = called(&over, &answered, call);
    let (wrong, ()) = tokio::join!(calls, stopping(services, &over, &answered));
    assert!(
        wrong.is_empty(),
        "{} of {answered:?}: {:?}",
        wrong.len(),
        wrong.first()
    );
}
