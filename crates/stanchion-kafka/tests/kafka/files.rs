//! Files of TLS that cannot be used.

use std::path::PathBuf;

use stanchion_kafka::{KafkaBroker, KafkaSettings, KafkaTlsSettings};
use stanchion_telemetry::Metrics;

/// The client itself would say, whenever it tries, that nobody is there.
#[test]
fn a_file_that_holds_no_certificate_is_told_at_once() {
    let none = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let settings = KafkaSettings {
        brokers: Some("127.0.0.1:1".into()),
        tls: KafkaTlsSettings {
            enabled: true,
            roots: Some(none.clone()),
            ..KafkaTlsSettings::default()
        },
        ..KafkaSettings::default()
    };
    let refused = KafkaBroker::open(&settings, &Metrics::default());
    let said = refused.err().map(|error| error.to_string());
    let expected = format!("tls.roots: {}: no certificate in PEM form", none.display());
    assert_eq!(said, Some(expected));
}
