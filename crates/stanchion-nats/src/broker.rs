//! The adapter as a service has it.

use std::sync::Arc;

use async_trait::async_trait;
use stanchion_messaging::{
    BrokerError, Envelope, Group, PublishError, Publisher, Subscriber, Subscription,
};
use stanchion_telemetry::Metrics;

use super::NatsSettings;
use super::connection::Connection;
use super::metrics::NatsMetrics;
use super::publisher::Seen;
use super::subscription::NatsSubscription;

/// NATS as publisher and subscriber; clones share one connection, which ends with the last of them.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use stanchion_messaging::{Publisher, Subscriber};
/// use stanchion_nats::{NatsBroker, NatsSettings};
/// use stanchion_telemetry::Metrics;
///
/// let settings = NatsSettings {
///     url: Some("nats://127.0.0.1:4222".into()),
///     ..NatsSettings::default()
/// };
/// let broker = NatsBroker::connect(&settings, &Metrics::default()).await?;
/// println!("the store is {}", broker.store_id().await?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct NatsBroker {
    connection: Arc<Connection>,
    seen: Arc<Seen>,
}

/// Why there is no adapter.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// No URL is set.
    #[error("the URL of NATS is not set")]
    NoUrl,
    /// The settings cannot be used; the text names no secret.
    #[error("the settings of NATS cannot be used: {0}")]
    Settings(String),
}

impl NatsBroker {
    /// Begins to connect and does not wait for it: a service starts without its broker, too. It tries for ever, at most
    /// a second apart.
    ///
    /// # Errors
    /// On a URL that is missing or malformed and on a file that cannot be read; a server that does not answer, or does
    /// not let us in, is no error.
    pub async fn connect(settings: &NatsSettings, metrics: &Metrics) -> Result<Self, NatsError> {
        let connection = Connection::open(settings, NatsMetrics::new(metrics)).await?;
        Ok(Self {
            connection: Arc::new(connection),
            seen: Arc::default(),
        })
    }

    /// Whether there is a connection now: for a readiness check.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection.is_connected()
    }
}

#[async_trait]
impl Publisher for NatsBroker {
    async fn publish(&self, envelope: &Envelope) -> Result<(), PublishError> {
        self.connection.publish(envelope, &self.seen).await
    }

    async fn publish_all(&self, envelopes: &[Envelope]) -> Result<(), PublishError> {
        self.connection.publish_all(envelopes, &self.seen).await
    }

    async fn store_id(&self) -> Result<String, BrokerError> {
        self.connection.store_id(&self.seen).await
    }
}

#[async_trait]
impl Subscriber for NatsBroker {
    async fn subscribe(&self, group: Group) -> Result<Box<dyn Subscription>, BrokerError> {
        let connection = Arc::clone(&self.connection);
        let subscription = NatsSubscription::open(connection, group).await?;
        Ok(Box::new(subscription))
    }
}

impl std::fmt::Debug for NatsBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsBroker")
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}
