//! The client of one process.

use std::sync::Arc;

use async_trait::async_trait;
use stanchion_config::{PemError, PemFile};
use stanchion_messaging::{
    BrokerError, Envelope, Group, PublishError, Publisher, Subscriber, Subscription,
};
use stanchion_telemetry::Metrics;

use crate::metrics::BrokerMetrics;
use crate::publisher::Lines;
use crate::subscription::KafkaSubscription;
use crate::{KafkaSettings, KafkaTlsSettings};

/// Kafka as a broker: a [`Publisher`] and a [`Subscriber`]; clones share the producer. Experimental.
///
/// Opening it connects to nothing: a service starts without its broker. The first publish connects, and each
/// subscription has connections of its own.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use stanchion_kafka::{KafkaBroker, KafkaSettings};
/// use stanchion_messaging::Publisher;
/// use stanchion_telemetry::Metrics;
///
/// let settings = KafkaSettings {
///     brokers: Some("127.0.0.1:9092".into()),
///     ..KafkaSettings::default()
/// };
/// let broker = KafkaBroker::open(&settings, &Metrics::default())?;
/// println!("its store is {}", broker.store_id().await?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct KafkaBroker {
    shared: Arc<Shared>,
    lines: Arc<Lines>,
}

/// What all connections of a client have in common.
pub(crate) struct Shared {
    pub(crate) settings: KafkaSettings,
    pub(crate) metrics: BrokerMetrics,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum KafkaBrokerError {
    /// No brokers are named.
    #[error("the brokers of Kafka are not set")]
    NoBrokers,
    /// A file of its TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] PemError),
}

impl KafkaBroker {
    /// A client by these settings; it does not connect yet.
    ///
    /// # Errors
    /// Where no brokers are named, or a file of its TLS cannot be used.
    pub fn open(settings: &KafkaSettings, metrics: &Metrics) -> Result<Self, KafkaBrokerError> {
        let named = settings.brokers.as_ref().filter(|named| !named.is_empty());
        named.ok_or(KafkaBrokerError::NoBrokers)?;
        look_at_files(&settings.tls)?;
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            metrics: BrokerMetrics::new(metrics),
        });
        let lines = Arc::new(Lines::new(&shared));
        Ok(Self { shared, lines })
    }
}

/// The client reads them by itself whenever it connects, and says of a wrong one that nobody is there.
fn look_at_files(tls: &KafkaTlsSettings) -> Result<(), PemError> {
    for (setting, path) in [
        ("tls.roots", &tls.roots),
        ("tls.certificate", &tls.certificate),
    ] {
        if let Some(path) = path {
            PemFile::read(setting, path)?.certificates()?;
        }
    }
    if let Some(key) = &tls.key {
        PemFile::read("tls.key", key)?.key()?;
    }
    Ok(())
}

#[async_trait]
impl Publisher for KafkaBroker {
    async fn publish(&self, envelope: &Envelope) -> Result<(), PublishError> {
        let published = self.lines.publish(&self.shared, envelope).await;
        let metrics = &self.shared.metrics;
        match &published {
            Ok(()) => metrics.confirmed.inc(),
            Err(PublishError::Refused(_)) => metrics.refused.inc(),
            Err(_) => metrics.unconfirmed.inc(),
        };
        published
    }

    async fn store_id(&self) -> Result<String, BrokerError> {
        Lines::store_id(&self.shared).await
    }
}

#[async_trait]
impl Subscriber for KafkaBroker {
    async fn subscribe(&self, group: Group) -> Result<Box<dyn Subscription>, BrokerError> {
        let subscription = KafkaSubscription::open(Arc::clone(&self.shared), group).await?;
        Ok(Box::new(subscription))
    }
}

impl std::fmt::Debug for KafkaBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaBroker")
            .field("prefix", &self.shared.settings.prefix)
            .finish_non_exhaustive()
    }
}
