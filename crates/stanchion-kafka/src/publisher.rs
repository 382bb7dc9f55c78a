//! Publishing: one idempotent producer, one unconfirmed message a partition.

use std::sync::Arc;

use krafka::Kafka;
use krafka::error::{ErrorCode, KrafkaError};
use krafka::producer::Producer;
use stanchion_messaging::adapter::Backoff;
use stanchion_messaging::{BrokerError, Envelope, PARTITIONS, PublishError};
use stanchion_runtime::task;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::KafkaSettings;
use crate::broker::Shared;
use crate::connect::{connect, topic, unavailable};
use crate::wire;

/// Room for a request around the largest message.
const REQUEST_BYTES: usize = 64 * 1024;

/// The publishing half of a client. Nothing is connected before it is needed.
pub(crate) struct Lines {
    slot: Mutex<Slot>,
}

struct Slot {
    line: Option<Arc<Line>>,
    backoff: Backoff,
}

struct Line {
    _kafka: Kafka,
    producer: Arc<Producer>,
    lanes: Vec<Mutex<()>>,
}

impl Lines {
    pub(crate) fn new(shared: &Shared) -> Self {
        Self {
            slot: Mutex::new(Slot {
                line: None,
                backoff: Backoff::new(shared.settings.backoff_base, shared.settings.backoff_max),
            }),
        }
    }

    /// Publishes and waits for the confirmation, both within the bound.
    pub(crate) async fn publish(
        &self,
        shared: &Shared,
        envelope: &Envelope,
    ) -> Result<(), PublishError> {
        let settings = &shared.settings;
        let bytes_max = settings.message_bytes_max.as_usize();
        let record = wire::record(envelope, &topic(settings), bytes_max)?;
        let mut used = None;
        let sending = async {
            let line = used.insert(self.line(shared).await?);
            let lane = line.lanes.get(usize::from(envelope.partition));
            let none = || BrokerError(format!("there is no partition {}", envelope.partition));
            let _in_order = lane.ok_or_else(none)?.lock().await;
            let queued = line.producer.enqueue(record).await.map_err(not_confirmed)?;
            queued.await.map_err(not_confirmed)
        };
        let bound = settings.publish_timeout;
        let late = |_| BrokerError(format!("Kafka did not confirm within {bound:?}"));
        let sent = timeout(bound, sending).await;
        let sent = sent.unwrap_or_else(|elapsed| Err(late(elapsed).into()));
        if let (Err(_), Some(line)) = (&sent, used) {
            // A producer that failed once may have lost its turn; a new one begins a new turn.
            self.distrust(&line).await;
        }
        sent.map(drop)
    }

    /// The topic's own id: another one after it was deleted or the cluster wiped.
    pub(crate) async fn store_id(shared: &Shared) -> Result<String, BrokerError> {
        let bound = shared.settings.request_timeout;
        let late = |_| BrokerError(format!("Kafka did not answer within {bound:?}"));
        let asking = topic_id(&shared.settings);
        timeout(bound, asking).await.map_err(late)?
    }

    async fn line(&self, shared: &Shared) -> Result<Arc<Line>, BrokerError> {
        let mut slot = self.slot.lock().await;
        if let Some(line) = &slot.line {
            return Ok(Arc::clone(line));
        }
        slot.backoff.wait().await;
        match Line::open(shared).await {
            Ok(line) => {
                slot.backoff.succeeded();
                Ok(Arc::clone(slot.line.insert(Arc::new(line))))
            }
            Err(error) => {
                slot.backoff.failed();
                Err(error)
            }
        }
    }

    async fn distrust(&self, used: &Arc<Line>) {
        let mut slot = self.slot.lock().await;
        let same = |line: &Arc<Line>| Arc::ptr_eq(line, used);
        if slot.line.as_ref().is_some_and(same) {
            slot.line = None;
        }
    }
}

impl Line {
    async fn open(shared: &Shared) -> Result<Self, BrokerError> {
        let settings = &shared.settings;
        let kafka = connect(settings).await?;
        shared.metrics.connects.inc();
        let producer = kafka
            .producer()
            .idempotent(true)
            .linger(std::time::Duration::ZERO)
            .delivery_timeout(settings.publish_timeout)
            .max_block(settings.publish_timeout)
            .max_request_size(settings.message_bytes_max.as_usize() + REQUEST_BYTES);
        Ok(Self {
            producer: Arc::new(producer.build().await.map_err(unavailable)?),
            lanes: (0..PARTITIONS).map(|_| Mutex::default()).collect(),
            _kafka: kafka,
        })
    }
}

/// Asked on a connection of its own: one that was there before the topic was deleted still knows the old one.
async fn topic_id(settings: &KafkaSettings) -> Result<String, BrokerError> {
    let topic = topic(settings);
    let kafka = connect(settings).await?;
    let looking = kafka.consumer_without_group().build().await;
    let looking = looking.map_err(unavailable)?;
    let found = looking.fetch_metadata(Some(&topic)).await;
    let _closed = looking.close().await;
    let missing = || BrokerError(format!("Kafka: the topic {topic} is not there yet"));
    let found = found.map_err(unavailable)?.topics.into_iter().next();
    let found = found.ok_or_else(missing)?;
    let digits = found.topic_id.iter().map(|byte| format!("{byte:02x}"));
    Ok(digits.collect())
}

impl Drop for Line {
    /// Ends its producer in the background.
    fn drop(&mut self) {
        let producer = Arc::clone(&self.producer);
        if tokio::runtime::Handle::try_current().is_ok() {
            let _unobserved = task::spawn("kafka-close", async move {
                let _closed = producer.close().await;
            });
        }
    }
}

/// A record that the topic takes never, or one that was not confirmed.
fn not_confirmed(error: KrafkaError) -> PublishError {
    use ErrorCode::{InvalidRecord, MessageTooLarge, RecordListTooLarge};
    match &error {
        KrafkaError::Broker {
            code: MessageTooLarge | RecordListTooLarge | InvalidRecord,
            ..
        } => PublishError::Refused(unavailable(error).0),
        _ => unavailable(error).into(),
    }
}
