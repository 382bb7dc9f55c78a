//! TLS and credentials: who is let in, and that nobody else is.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use stanchion_messaging::Publisher;
use stanchion_nats::{NatsBroker, NatsError, NatsSettings};
use stanchion_telemetry::Metrics;
use stanchion_testing::servers::{Nats, NatsOptions, NatsTls};
use tempfile::TempDir;

use super::support::{connect, envelope, settings};

/// An authority with a server's and a client's certificate, as PEM files.
struct Certificates {
    folder: TempDir,
}

impl Certificates {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        let write = |name: &str, text: String| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write("roots.pem", authority.pem());
        let ends = [
            ("server", ExtendedKeyUsagePurpose::ServerAuth),
            ("client", ExtendedKeyUsagePurpose::ClientAuth),
        ];
        for (name, purpose) in ends {
            let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
            params.extended_key_usages = vec![purpose];
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            write(&format!("{name}.pem"), certificate.pem());
            write(&format!("{name}-key.pem"), key.serialize_pem());
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }

    fn server(&self, clients: bool) -> NatsOptions {
        NatsOptions::default().tls(NatsTls {
            certificate: self.path("server.pem"),
            key: self.path("server-key.pem"),
            clients: clients.then(|| self.path("roots.pem")),
        })
    }
}

fn impatient(address: SocketAddr) -> NatsSettings {
    NatsSettings {
        publish_timeout: Duration::from_secs(2),
        ..settings(address, "secure")
    }
}

async fn let_in(settings: &NatsSettings) -> bool {
    let broker = connect(settings).await;
    broker.publish(&envelope("a")).await.is_ok()
}

#[tokio::test]
async fn over_tls_only_a_known_server_is_spoken_to() {
    let certificates = Certificates::make();
    let Some(server) = Nats::required_with(&certificates.server(false)) else {
        return;
    };
    let stranger = Certificates::make();
    let mut settings = impatient(server.address());
    settings.tls_roots = Some(certificates.path("roots.pem"));
    assert!(let_in(&settings).await);
    settings.tls_roots = Some(stranger.path("roots.pem"));
    assert!(!let_in(&settings).await);
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_it() {
    let certificates = Certificates::make();
    let Some(server) = Nats::required_with(&certificates.server(true)) else {
        return;
    };
    let mut settings = impatient(server.address());
    settings.tls_roots = Some(certificates.path("roots.pem"));
    assert!(!let_in(&settings).await);
    settings.tls_certificate = Some(certificates.path("client.pem"));
    settings.tls_key = Some(certificates.path("client-key.pem"));
    assert!(let_in(&settings).await);
}

#[tokio::test]
async fn a_plain_server_is_refused_where_tls_is_set() {
    let Some(server) = Nats::required() else {
        return;
    };
    let certificates = Certificates::make();
    let mut settings = impatient(server.address());
    assert!(let_in(&settings).await);
    settings.tls_roots = Some(certificates.path("roots.pem"));
    assert!(!let_in(&settings).await);
}

#[tokio::test]
async fn a_user_needs_the_password() {
    let options = NatsOptions::default().user("shop", "s3cret@home");
    let Some(server) = Nats::required_with(&options) else {
        return;
    };
    let mut settings = impatient(server.address());
    assert!(!let_in(&settings).await);
    for (password, right) in [("s3cret%40home", true), ("guess", false)] {
        let url = format!("nats://shop:{password}@{}", server.address());
        settings.url = Some(url.into());
        assert_eq!(let_in(&settings).await, right, "{password}");
    }
}

#[tokio::test]
async fn a_token_lets_in() {
    let options = NatsOptions::default().token("open-sesame");
    let Some(server) = Nats::required_with(&options) else {
        return;
    };
    let mut settings = impatient(server.address());
    assert!(!let_in(&settings).await);
    settings.token = Some("open-sesame".into());
    assert!(let_in(&settings).await);
}

#[tokio::test]
async fn an_nkey_lets_in() {
    let pair = nkeys::KeyPair::new_user();
    let options = NatsOptions::default().nkey(&pair.public_key());
    let Some(server) = Nats::required_with(&options) else {
        return;
    };
    let mut settings = impatient(server.address());
    assert!(!let_in(&settings).await);
    settings.nkey_seed = Some(pair.seed().unwrap().into());
    assert!(let_in(&settings).await);
}

#[tokio::test]
async fn settings_that_cannot_be_used_say_so_without_a_secret() {
    let address = ([127, 0, 0, 1], 4222).into();
    let url = |url: &str| NatsSettings {
        url: Some(url.into()),
        ..settings(address, "secure")
    };
    let credentials = NatsSettings {
        credentials: Some("/nowhere/shop.creds".into()),
        ..settings(address, "secure")
    };
    let half = NatsSettings {
        tls_certificate: Some("client.pem".into()),
        ..settings(address, "secure")
    };
    for wrong in [url("nats://shop:secret@bad host"), credentials, half] {
        let error = NatsBroker::connect(&wrong, &Metrics::default()).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("cannot be used"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let none = NatsSettings::default();
    let error = NatsBroker::connect(&none, &Metrics::default()).await;
    assert!(matches!(error, Err(NatsError::NoUrl)));
}

/// The client itself would say, whenever it tries, that nobody is there.
#[tokio::test]
async fn a_file_that_holds_no_certificate_is_told_at_once() {
    let certificates = Certificates::make();
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let wrong = NatsSettings {
        tls_roots: Some(certificates.path("client-key.pem")),
        ..impatient(nobody)
    };
    let refused = NatsBroker::connect(&wrong, &Metrics::default()).await;
    let said = refused.err().map(|error| error.to_string());
    let said = said.expect("it was taken");
    assert!(said.contains("tls_roots: "), "{said}");
    assert!(said.contains("no certificate in PEM form"), "{said}");
}
