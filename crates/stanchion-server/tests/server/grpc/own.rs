//! What each service answers beside its own methods: health, reflection, and that it has no such method.

use std::collections::BTreeSet;

use tokio::time::{Instant, timeout};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ListServiceResponse, ServerReflectionRequest};

use super::super::api::Api;
use super::*;

#[tokio::test]
async fn what_is_not_there_is_unimplemented_and_plain_http_is_told_the_type() {
    let ours = Ours::start(settings()).await;
    let mut other =
        tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient::new(
            channel(&ours.running).await,
        );
    let asked = other.server_reflection_info(stream::pending()).await;
    assert_eq!(asked.unwrap_err().code(), Grpced::Unimplemented);
    let api = Api(service(settings()).into_router().unwrap());
    let path = "POST //grpc.health.v1.Health/Check";
    let got = api
        .send(path, &[("content-type", "application/json")], "{}")
        .await;
    assert_eq!(got.status, 415, "{}", got.text);
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    let got = api
        .send("POST //grpc.health.v1.Health/Nothing", &grpc, "")
        .await;
    assert_eq!(
        (got.status, &got.headers["grpc-status"]),
        (200, &"12".parse().unwrap())
    );
}

#[tokio::test]
async fn reflection_lists_every_service() {
    let ours = Ours::start(settings()).await;
    let mut client = ServerReflectionClient::new(channel(&ours.running).await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = client.server_reflection_info(stream::iter([request])).await;
    let answer = asked.unwrap().into_inner().next().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(ListServiceResponse { service })) =
        answer.message_response
    else {
        panic!("{answer:?}");
    };
    let names: BTreeSet<_> = service.iter().map(|one| one.name.as_str()).collect();
    let wanted = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ];
    assert_eq!(names, BTreeSet::from(wanted));
}

#[tokio::test]
async fn health_says_what_ready_says() {
    let failing = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = failing.clone();
    let own = tonic_reflection::server::Builder::configure()
        .build_v1alpha()
        .unwrap();
    let grpc = Grpc::new(own, tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
        .allow::<Anyone>("ServerReflectionInfo");
    let module = Module::new("own").grpc(grpc).ready_when("store", move || {
        let fails = seen.load(std::sync::atomic::Ordering::Relaxed);
        async move {
            if fails {
                Err("it is out".to_owned())
            } else {
                Ok(())
            }
        }
    });
    let running = Service::new(settings())
        .mount(module)
        .start()
        .await
        .unwrap();
    let mut client = HealthClient::new(channel(&running).await);
    let mut watcher = client.clone();
    let name = "grpc.reflection.v1alpha.ServerReflection";
    let mut until = async |wanted: ServingStatus, of: &str| {
        let began = Instant::now();
        loop {
            let service = of.to_owned();
            let asked = client.check(HealthCheckRequest { service }).await;
            let status = asked.map(|answer| answer.into_inner().status);
            if status.as_ref().is_ok_and(|status| *status == wanted as i32) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(5), "{of}: {status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until(ServingStatus::Serving, "").await;
    until(ServingStatus::Serving, name).await;
    let asked = watcher.watch(HealthCheckRequest::default()).await;
    let mut told = asked.unwrap().into_inner();
    assert!(told.message().await.unwrap().is_some());
    let again = timeout(Duration::from_millis(2_200), told.message()).await;
    assert!(again.is_err(), "told again, and nothing is new: {again:?}");
    failing.store(true, std::sync::atomic::Ordering::Relaxed);
    until(ServingStatus::NotServing, "").await;
    until(ServingStatus::NotServing, name).await;
}
