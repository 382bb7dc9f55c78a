//! TLS and mutual TLS towards a real service.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Extension;
use axum::routing::get;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use stanchion_client::{
    ClientError, ClientSettings, Discovery, GrpcChannel, HttpClient, Reason, SetupError,
};
use stanchion_runtime::task::spawn;
use stanchion_server::{ClientCertificates, Module, Running, ServerSettings, Service, TlsSettings};
use stanchion_telemetry::Metrics;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{FILE_DESCRIPTOR_SET, HealthCheckRequest};

use super::host::{eventually, quick};

/// An authority with a folder for what it gives out.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("roots.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }

    pub(super) fn identity(&self, file: &str, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (chain, secret) = (
            self.path(&format!("{file}.pem")),
            self.path(&format!("{file}.key")),
        );
        std::fs::write(&chain, certificate.pem()).unwrap();
        std::fs::write(&secret, key.serialize_pem()).unwrap();
        (chain, secret)
    }

    async fn server(&self, mutual: bool) -> (Running, String) {
        let (certificate, key) = self.identity("server", "localhost");
        let who = get(
            async |version: http::Version, shown: Option<Extension<ClientCertificates>>| {
                let known = if shown.is_some() { "known" } else { "unknown" };
                format!("{known} {version:?}")
            },
        );
        let settings = ServerSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: TlsSettings {
                certificate: Some(certificate),
                key: Some(key),
                client_roots: mutual.then(|| self.path("roots.pem")),
                ..TlsSettings::default()
            },
            ..ServerSettings::default()
        };
        let router = axum::Router::new().route("/who", who);
        let service = Service::new(settings).mount(Module::new("tls").http_router(router));
        let running = service.start().await.unwrap();
        let port = running.addresses().public.unwrap().port();
        (running, format!("https://localhost:{port}"))
    }

    fn settings(&self) -> ClientSettings {
        let mut settings = quick();
        settings.policy.retry_on = false;
        settings.tls.roots = Some(self.path("roots.pem"));
        settings
    }
}

async fn who(url: &str, settings: &ClientSettings) -> Result<String, ClientError> {
    let client = HttpClient::new("who", url, settings, &Metrics::default()).unwrap();
    let answer = client.get("/who").send().await;
    answer.map(|answer| answer.text())
}

#[tokio::test]
async fn a_host_is_trusted_by_its_authority_and_name_alone_and_speaks_http_2() {
    let authority = Authority::new();
    let (_running, url) = authority.server(false).await;
    let settings = authority.settings();
    assert_eq!(who(&url, &settings).await.unwrap(), "unknown HTTP/2.0");

    let other = Authority::new();
    let stranger = other.settings();
    let mut other_name = settings.clone();
    other_name.tls.server_name = Some("bank.example".into());
    for settings in [&stranger, &other_name] {
        let error = who(&url, settings).await.unwrap_err();
        assert!(
            matches!(error.reason(), Reason::Connect(_)) && error.had_no_effect(),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_client_shows_its_certificate_and_takes_a_new_one_without_a_restart() {
    let authority = Authority::new();
    let (_running, url) = authority.server(true).await;
    let mut settings = authority.settings();
    let error = who(&url, &settings).await.unwrap_err();
    assert!(
        matches!(error.reason(), Reason::Connect(_) | Reason::Broken(_)),
        "{error}"
    );

    // No certificate at all stops the start; one of somebody else's authority is refused until the file has one that fits.
    let (own, own_key) = (authority.path("own.pem"), authority.path("own.key"));
    std::fs::write(&own, include_str!("tls.rs")).unwrap();
    settings.tls.certificate = Some(own.clone());
    settings.tls.key = Some(own_key.clone());
    settings.tls.reload_every = Duration::from_millis(100);
    settings.lookup_every = Duration::from_millis(100);
    settings.policy.breaker_on = false;
    let none = HttpClient::new("who", &url, &settings, &Metrics::default());
    assert!(matches!(none, Err(SetupError::Tls(_))));

    let foreign = Authority::new();
    let (chain, key) = foreign.identity("other", "orders");
    std::fs::copy(&chain, &own).unwrap();
    std::fs::copy(&key, &own_key).unwrap();
    let client = HttpClient::new("who", &url, &settings, &Metrics::default()).unwrap();
    client.get("/who").send().await.unwrap_err();

    let (chain, key) = authority.identity("own-fitting", "orders");
    std::fs::copy(&chain, &own).unwrap();
    std::fs::copy(&key, &own_key).unwrap();
    for _ in 0..100 {
        if let Ok(answer) = client.get("/who").send().await {
            assert_eq!(answer.text(), "known HTTP/2.0");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the new certificate is not used");
}

/// Passes bytes on, each connection's first only after a while.
async fn slowly(to: std::net::SocketAddr, after: Duration) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(spawn("slow way", async move {
        while let Ok((mut near, _)) = listener.accept().await {
            drop(spawn("slow connection", async move {
                tokio::time::sleep(after).await;
                let mut far = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }));
        }
    }));
    address
}

#[tokio::test]
async fn a_handshake_that_takes_longer_than_its_caller_has_is_there_for_the_next() {
    let authority = Authority::new();
    let (running, url) = authority.server(false).await;
    let service = running.addresses().public.unwrap();
    let hosts = Discovery::fixed([slowly(service, Duration::from_millis(400)).await]);
    let metrics = Metrics::default();
    let mut settings = authority.settings();
    settings.connect_timeout = Duration::from_secs(5);
    let channel = GrpcChannel::with_discovery("slow", &url, hosts, &settings, &metrics).unwrap();
    let channel = channel.describe(FILE_DESCRIPTOR_SET).unwrap();
    let mut client = HealthClient::new(channel);
    let asked = HealthCheckRequest::default();
    for _ in 0..3 {
        let mut hasty = tonic::Request::new(asked.clone());
        hasty.set_timeout(Duration::from_millis(50));
        let late = client.check(hasty).await.unwrap_err();
        assert_eq!(late.code(), tonic::Code::DeadlineExceeded, "{late}");
    }
    eventually("the connection is there although nobody waits", || {
        let ok = "stanchion_client_connects_total{dependency=\"slow\",outcome=\"ok\"} 1";
        metrics.encode().contains(ok)
    })
    .await;
    let mut hasty = tonic::Request::new(asked);
    hasty.set_timeout(Duration::from_millis(300));
    let said = client.check(hasty).await.unwrap_err();
    assert!(
        ClientError::of_status(&said).is_none(),
        "the service: {said}"
    );
    assert_eq!(said.code(), tonic::Code::Unimplemented);
}
