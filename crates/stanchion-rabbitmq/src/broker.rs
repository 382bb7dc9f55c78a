//! The client of one process.

use std::sync::Arc;

use async_trait::async_trait;
use stanchion_messaging::{
    BUNDLE_BYTES_MAX, BrokerError, Envelope, Group, Parcel, PublishError, Publisher, Subscriber,
    Subscription, parcels,
};
use stanchion_telemetry::Metrics;

use crate::RabbitMqSettings;
use crate::connect::Dialer;
use crate::metrics::BrokerMetrics;
use crate::publisher::{Lines, Sending};
use crate::subscription::RabbitMqSubscription;
use crate::topology;

/// RabbitMQ as a broker: a [`Publisher`] and a [`Subscriber`]; clones share the publishing connection.
///
/// Opening it connects to nothing: a service starts without its broker. The first publish connects, and each
/// subscription has a connection of its own. A connection that is lost is made again with a growing wait.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use stanchion_messaging::Publisher;
/// use stanchion_rabbitmq::{RabbitMq, RabbitMqSettings};
/// use stanchion_telemetry::Metrics;
///
/// let settings = RabbitMqSettings {
///     url: Some("amqp://guest:guest@127.0.0.1:5672/%2f".into()),
///     ..RabbitMqSettings::default()
/// };
/// let broker = RabbitMq::open(&settings, &Metrics::default())?;
/// println!("its store is {}", broker.store_id().await?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RabbitMq {
    shared: Arc<Shared>,
    lines: Arc<Lines>,
}

/// What all connections of a client have in common.
pub(crate) struct Shared {
    pub(crate) settings: RabbitMqSettings,
    pub(crate) dialer: Dialer,
    pub(crate) metrics: BrokerMetrics,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RabbitMqError {
    /// No URL is set.
    #[error("the URL of RabbitMQ is not set")]
    NoUrl,
    /// The URL cannot be used; the text names no password.
    #[error("the URL of RabbitMQ cannot be used: {0}")]
    Url(String),
    /// A file with certificates cannot be used.
    #[error("{0}")]
    Tls(String),
}

impl RabbitMq {
    /// A client by these settings; it does not connect yet.
    ///
    /// # Errors
    /// On a URL that is missing or malformed, and certificates that cannot be read.
    pub fn open(settings: &RabbitMqSettings, metrics: &Metrics) -> Result<Self, RabbitMqError> {
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            dialer: Dialer::new(settings)?,
            metrics: BrokerMetrics::new(metrics),
        });
        let lines = Arc::new(Lines::new(&shared));
        Ok(Self { shared, lines })
    }

    fn bytes_max(&self) -> usize {
        self.shared.settings.message_bytes_max.as_usize()
    }

    async fn send(&self, sending: Result<Sending, PublishError>) -> Result<(), PublishError> {
        let (published, messages) = match sending {
            Ok(sending) => (
                self.lines.publish(&self.shared, &sending).await,
                sending.messages,
            ),
            Err(refused) => (Err(refused), 1),
        };
        let metrics = &self.shared.metrics;
        let outcome = match &published {
            Ok(()) => &metrics.confirmed,
            Err(PublishError::Unavailable(_)) => &metrics.unconfirmed,
            Err(PublishError::Refused(_)) => &metrics.refused,
            Err(PublishError::Overflow(_)) => &metrics.overflowed,
        };
        outcome.inc_by(messages);
        published
    }
}

fn is_relays(envelope: &Envelope) -> bool {
    topology::is_relays(&envelope.message.contract)
}

#[async_trait]
impl Publisher for RabbitMq {
    async fn publish(&self, envelope: &Envelope) -> Result<(), PublishError> {
        self.send(Sending::alone(envelope, self.bytes_max())).await
    }

    async fn publish_all(&self, envelopes: &[Envelope]) -> Result<(), PublishError> {
        let bytes_max = self.bytes_max().min(BUNDLE_BYTES_MAX);
        let messages_max = self.shared.settings.bundle_max as usize;
        // What relays tell each other goes another way than messages do.
        for run in envelopes.chunk_by(|one, next| is_relays(one) == is_relays(next)) {
            let mut sent = 0;
            for parcel in parcels(run, messages_max, bytes_max) {
                let parcel = parcel.map_err(|error| PublishError::Refused(error.to_string()))?;
                let sending = match parcel {
                    Parcel::Alone(envelope) => Sending::alone(envelope, self.bytes_max()),
                    Parcel::Together(bundle) => Ok(Sending::together(bundle, &run[sent])),
                };
                sent += sending.as_ref().map_or(1, |it| it.messages as usize);
                self.send(sending).await?;
            }
        }
        Ok(())
    }

    async fn store_id(&self) -> Result<String, BrokerError> {
        self.lines.store_id(&self.shared).await
    }
}

#[async_trait]
impl Subscriber for RabbitMq {
    async fn subscribe(&self, group: Group) -> Result<Box<dyn Subscription>, BrokerError> {
        let subscription = RabbitMqSubscription::open(Arc::clone(&self.shared), group).await?;
        Ok(Box::new(subscription))
    }
}

impl std::fmt::Debug for RabbitMq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RabbitMq")
            .field("prefix", &self.shared.settings.prefix)
            .finish_non_exhaustive()
    }
}
