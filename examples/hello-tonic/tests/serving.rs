//! The program from outside: gRPC and readiness on one port, and a stop that loses no call.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use stanchion_testing::process::{Launch, ServiceProcess, Signal, free_port};
use tokio::sync::oneshot;
use tokio_stream::StreamExt;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;

/// From start to ready, and from the signal to the end, each.
const PATIENCE: Duration = Duration::from_secs(30);

const CHECK: PathAndQuery = PathAndQuery::from_static("/grpc.health.v1.Health/Check");

#[tokio::test]
async fn grpc_and_readiness_share_a_port_and_a_stop_answers_every_call() -> Result<()> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let mut hello = start(&address).await?;
    let channel = Channel::from_shared(format!("http://{address}"))?;
    let channel = channel.connect().await?;

    // Status and message of a gRPC answer are trailers: without them neither call would end like this.
    let mut health = HealthClient::new(channel.clone());
    let answer = health.check(HealthCheckRequest::default()).await?;
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    let service = "nobody".to_owned();
    let unknown = health.check(HealthCheckRequest { service }).await;
    assert_eq!(
        unknown.map_err(|status| status.code()).err(),
        Some(Code::NotFound)
    );
    let mut watch = health
        .watch(HealthCheckRequest::default())
        .await?
        .into_inner();
    let first = watch.message().await?.map(|answer| answer.status());
    assert_eq!(
        first,
        Some(ServingStatus::Serving),
        "a stream's first message"
    );
    drop(watch);
    assert_eq!(ready(&address)?, 200);

    // A call whose head is sent before the stop begins, and whose message only after.
    let (sent, on_its_way) = oneshot::channel();
    let (say, said) = oneshot::channel();
    let call = tokio::spawn(slow_check(channel, sent, said));
    on_its_way.await?;
    hello.signal(Signal::Terminate)?;
    while ready(&address)? == 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ready(&address)?, 503, "balancers are told first");
    ensure!(say.send(()).is_ok(), "the call has ended early");
    assert_eq!(call.await??.status(), ServingStatus::Serving);
    let ended = hello.wait(PATIENCE).await?;
    assert!(ended.success(), "{ended}\n{}", hello.stderr());
    Ok(())
}

#[tokio::test]
async fn a_stream_that_never_ends_is_cut_and_named() -> Result<()> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let mut hello = start(&address).await?;
    let channel = Channel::from_shared(format!("http://{address}"))?;
    let mut health = HealthClient::new(channel.connect().await?);
    let watch = health.watch(HealthCheckRequest::default()).await?;
    let ended = hello.terminate(PATIENCE).await?;
    assert_eq!(ended.code(), Some(1), "{}", hello.stderr());
    let log = hello.stderr();
    assert!(log.contains("/grpc.health.v1.Health/"), "{log}");
    drop(watch);
    Ok(())
}

async fn start(address: &str) -> Result<ServiceProcess> {
    let launch = Launch::new(env!("CARGO_BIN_EXE_hello-tonic"))
        .env("HELLO__SERVER__LISTEN", address)
        .env("HELLO__SERVER__LAME_DUCK", "2s")
        .env("HELLO__SERVER__DRAIN", "1s")
        .env(
            "HELLO__ADMIN__LISTEN",
            format!("127.0.0.1:{}", free_port()?),
        )
        .ready_when(format!("http://{address}/ready"));
    launch.start(PATIENCE).await
}

/// Tells when the request's head is on its way, and sends its message when told to.
async fn slow_check(
    channel: Channel,
    sent: oneshot::Sender<()>,
    said: oneshot::Receiver<()>,
) -> Result<HealthCheckResponse> {
    let message = async {
        // Nobody listens only when the test has failed already.
        let _ = sent.send(());
        let _ = said.await;
        HealthCheckRequest::default()
    };
    let messages = tokio_stream::once(message).then(|message| message);
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    let answer = grpc
        .client_streaming(Request::new(messages), CHECK, codec)
        .await?;
    Ok(answer.into_inner())
}

/// The status of `/ready`, over HTTP/1.1.
fn ready(address: &str) -> Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.get(9..12).unwrap_or_default().parse()?)
}
