//! The cases, asked by grpcio: a client that shares nothing with the server.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::time::Duration;

use stanchion::server::{Module, ServerSettings, Service};
use stanchion::telemetry::Metrics;
use stanchion_testing::process::Launch;
use tokio::time::{Instant, sleep};

const PACKAGES: [&str; 2] = ["grpcio>=1.60,<2", "protobuf>=5,<8"];
const DONE_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn grpcio_passes_the_public_cases() {
    let Some(python) = stanchion_testing::python::with("grpcio", &PACKAGES) else {
        return;
    };
    let settings = ServerSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        secret: Some("a secret of at least thirty-two bytes".into()),
        ..ServerSettings::default()
    };
    let metrics = Metrics::default();
    let service = Service::new(settings).metrics(metrics.clone());
    let service = service.mount(Module::new("interop").grpc(grpc_interop::service()));
    let running = service.start().await.unwrap();
    let address = running.addresses().public.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let descriptors = |name: &str, set: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, set).unwrap();
        path
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client.py");
    let mut client = Launch::new(python)
        .arg(script)
        .arg(address.to_string())
        .arg(descriptors("testing.bin", grpc_interop::DESCRIPTORS))
        .arg(descriptors(
            "reflection.bin",
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        ))
        .spawn()
        .unwrap();
    let status = client.wait(DONE_WITHIN).await.unwrap();
    let (out, err) = (client.stdout(), client.stderr());
    println!("{out}");
    assert!(status.success(), "{out}{err}");
    assert_eq!(out.lines().count(), 20, "{out}");

    // Calls that were cancelled are not worked on any more.
    let began = Instant::now();
    while !metrics
        .encode()
        .contains("stanchion_server_requests_in_flight 0")
    {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{}",
            metrics.encode()
        );
        sleep(Duration::from_millis(20)).await;
    }
    assert!(metrics.encode().contains("stanchion_server_panics_total 0"));
}
