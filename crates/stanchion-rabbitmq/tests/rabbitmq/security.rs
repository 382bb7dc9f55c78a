//! TLS with certificates on both sides, and credentials.

use std::fs;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use stanchion_messaging::Publisher;
use stanchion_rabbitmq::{RabbitMq, RabbitMqError, RabbitMqSettings, RabbitMqTlsSettings};
use stanchion_telemetry::Metrics;
use stanchion_testing::servers::{self, RabbitMqOptions, RabbitMqTls};

fn open(settings: &RabbitMqSettings) -> Result<RabbitMq, RabbitMqError> {
    RabbitMq::open(settings, &Metrics::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_are_proven_by_certificates_and_the_user_by_a_password() {
    let authority = {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // What has its issuer's name is taken for self-signed.
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let certificate = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let signed = params.signed_by(&key, &authority).unwrap();
        (signed.pem(), key.serialize_pem())
    };
    let (server_certificate, server_key) = certificate("localhost");
    let (own_certificate, own_key) = certificate("shop");
    let options = RabbitMqOptions::default().tls(RabbitMqTls {
        ca: authority.pem(),
        certificate: server_certificate,
        key: server_key,
        clients_verified: true,
    });
    let Some(server) = servers::RabbitMq::required_with(options) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let proven = RabbitMqSettings {
        url: Some(server.tls_url().into()),
        user: Some("stanchion".into()),
        password: Some("secret".into()),
        tls: RabbitMqTlsSettings {
            roots: Some(file("roots.pem", &authority.pem())),
            certificate: Some(file("own.pem", &own_certificate)),
            key: Some(file("own.key", &own_key)),
            server_name: None,
        },
        connect_timeout: Duration::from_secs(10),
        ..RabbitMqSettings::default()
    };
    open(&proven).unwrap().store_id().await.unwrap();

    let nameless = RabbitMqSettings {
        tls: RabbitMqTlsSettings {
            certificate: None,
            key: None,
            ..proven.tls.clone()
        },
        ..proven.clone()
    };
    let other_name = RabbitMqSettings {
        tls: RabbitMqTlsSettings {
            server_name: Some("elsewhere".into()),
            ..proven.tls.clone()
        },
        ..proven.clone()
    };
    let stranger = RabbitMqSettings {
        password: Some("hunter2".into()),
        ..proven.clone()
    };
    for refused in [nameless, other_name, stranger] {
        let error = open(&refused).unwrap().store_id().await.unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_url_that_cannot_be_used_is_refused_without_its_password() {
    let with = |url: &str| RabbitMqSettings {
        url: Some(url.into()),
        ..RabbitMqSettings::default()
    };
    assert!(matches!(
        open(&RabbitMqSettings::default()),
        Err(RabbitMqError::NoUrl)
    ));
    for url in [
        "http://u:hunter2@h",
        "amqp://u:hunter2@[::1]:5672/",
        "hunter2",
    ] {
        let error = open(&with(url)).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
