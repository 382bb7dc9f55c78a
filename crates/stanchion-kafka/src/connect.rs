//! Connecting, and the topic that is made where it is missing.

use std::path::PathBuf;

use krafka::admin::{CreateTopicsOptions, NewTopic};
use krafka::auth::{AuthConfig, TlsConfig};
use krafka::error::{ErrorCode, KrafkaError};
use krafka::{Kafka, ProxyConfig};
use stanchion_config::ExposeSecret;
use stanchion_messaging::{BrokerError, PARTITIONS};
use tokio::time::timeout;

use crate::{KafkaLogin, KafkaSettings, KafkaTlsSettings};

/// The topic of all messages under a prefix.
pub(crate) fn topic(settings: &KafkaSettings) -> String {
    format!("{}.messages", settings.prefix)
}

/// A client with connections of its own, and the topic there.
pub(crate) async fn connect(settings: &KafkaSettings) -> Result<Kafka, BrokerError> {
    let brokers = settings.brokers.as_deref().unwrap_or_default();
    let mut builder = Kafka::builder(brokers)
        .client_id(settings.prefix.as_str())
        .connect_timeout(settings.request_timeout)
        .request_timeout(settings.request_timeout);
    if let Some(security) = security(settings) {
        builder = builder.security(security);
    }
    if let Some(proxy) = &settings.socks5 {
        builder = builder.proxy(ProxyConfig::new(proxy.as_str()));
    }
    let connecting = timeout(settings.request_timeout, builder.connect());
    let late = |_| BrokerError("Kafka did not answer in time".into());
    let kafka = connecting.await.map_err(late)?.map_err(unavailable)?;
    make_topic(&kafka, settings).await?;
    Ok(kafka)
}

async fn make_topic(kafka: &Kafka, settings: &KafkaSettings) -> Result<(), BrokerError> {
    let name = topic(settings);
    let replicas = match settings.replicas {
        0 => -1,
        replicas => i16::try_from(replicas).unwrap_or(i16::MAX),
    };
    let new = NewTopic::new(name.as_str(), i32::from(PARTITIONS), replicas);
    let retention = settings.retention.as_millis().to_string();
    let new = new.map_err(unavailable)?;
    let new = new.with_config("retention.ms", retention.as_str());
    let admin = kafka.admin();
    let made = admin.create_topics([new], CreateTopicsOptions::default());
    let made = made.await.map_err(unavailable)?;
    for (_name, made) in made {
        match made {
            Ok(())
            | Err(KrafkaError::Broker {
                code: ErrorCode::TopicAlreadyExists,
                ..
            }) => {}
            Err(error) => return Err(unavailable(error)),
        }
    }
    Ok(())
}

fn security(settings: &KafkaSettings) -> Option<AuthConfig> {
    let tls = settings.tls.enabled.then(|| encrypted(&settings.tls));
    let (Some(user), Some(password)) = (&settings.user, &settings.password) else {
        return tls.map(AuthConfig::ssl);
    };
    let (user, password) = (user.as_str(), password.expose_secret());
    let login = match settings.login {
        KafkaLogin::Plain => AuthConfig::sasl_plain(user, password),
        KafkaLogin::ScramSha256 => AuthConfig::sasl_scram_sha256(user, password),
        KafkaLogin::ScramSha512 => AuthConfig::sasl_scram_sha512(user, password),
    };
    Some(match tls {
        Some(tls) => login.with_tls(tls),
        None => login,
    })
}

fn encrypted(settings: &KafkaTlsSettings) -> TlsConfig {
    let text = |path: &PathBuf| path.display().to_string();
    let mut tls = TlsConfig::new();
    if let Some(roots) = &settings.roots {
        tls = tls.with_ca_cert(text(roots));
    }
    if let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) {
        tls = tls.with_client_cert(text(certificate), text(key));
    }
    tls
}

/// A request that failed.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn unavailable(error: KrafkaError) -> BrokerError {
    BrokerError(format!("Kafka: {error}"))
}
