//! A group's member.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use krafka::consumer::{
    AutoOffsetReset, Consumer, ConsumerRebalanceListener, OffsetAndMetadata,
    PartitionAssignmentStrategy, TopicPartition,
};
use krafka::error::{ErrorCode, KrafkaError};
use krafka::{ConsumerRecord, Kafka};
use parking_lot::Mutex;
use stanchion_messaging::adapter::{self, Backoff};
use stanchion_messaging::{
    BrokerError, Delivery, Group, PARTITIONS, Progress, Receipt, Subscription,
};
use stanchion_runtime::task;
use tokio::time::timeout;

use crate::broker::Shared;
use crate::connect::{connect, topic, unavailable};
use crate::hands::Hands;
use crate::metrics::GroupMetrics;

/// How long one poll waits for records.
const POLL: Duration = Duration::from_millis(500);

/// Heartbeats within a session, as Kafka's own clients have it.
const HEARTBEATS: u32 = 3;

/// A member of a group. Dropped, it leaves the group, and what it had not acknowledged goes to another one.
pub(crate) struct KafkaSubscription {
    shared: Arc<Shared>,
    group: Group,
    metrics: GroupMetrics,
    backoff: Backoff,
    line: Option<Line>,
    hands: Hands,
    receipts: u64,
    /// What the gauge has of this member.
    held: i64,
    /// Records that came while the member said that it is still at work.
    early: Vec<ConsumerRecord>,
}

struct Line {
    _kafka: Kafka,
    consumer: Arc<Consumer>,
    taken_away: TakenAway,
    /// Those up to here were of an earlier connection.
    receipts_before: u64,
}

/// Partitions that are somebody else's now.
#[derive(Clone, Default)]
struct TakenAway(Arc<Mutex<Vec<i32>>>);

impl ConsumerRebalanceListener for TakenAway {
    async fn on_partitions_assigned(&self, _partitions: &[TopicPartition]) {}

    async fn on_partitions_revoked(&self, partitions: &[TopicPartition]) {
        let taken = partitions.iter().map(|one| one.partition);
        self.0.lock().extend(taken);
    }

    async fn on_partitions_lost(&self, partitions: &[TopicPartition]) {
        self.on_partitions_revoked(partitions).await;
    }
}

impl KafkaSubscription {
    pub(crate) async fn open(shared: Arc<Shared>, group: Group) -> Result<Self, BrokerError> {
        let metrics = shared.metrics.group(&group.name);
        let held_max = i64::from(shared.settings.delivery_messages_max);
        metrics.held_max.set(held_max);
        let mut subscription = Self {
            backoff: Backoff::new(shared.settings.backoff_base, shared.settings.backoff_max),
            shared,
            group,
            metrics,
            line: None,
            hands: Hands::default(),
            receipts: 0,
            held: 0,
            early: Vec::new(),
        };
        subscription.join().await?;
        Ok(subscription)
    }

    /// Joins, unless it has.
    async fn join(&mut self) -> Result<(), BrokerError> {
        if self.line.is_some() {
            return Ok(());
        }
        self.backoff.wait().await;
        match Line::open(&self.shared, &self.group.name, self.receipts).await {
            Ok(line) => {
                self.backoff.succeeded();
                self.line = Some(line);
                Ok(())
            }
            Err(error) => {
                self.backoff.failed();
                Err(error)
            }
        }
    }

    /// Waits for records. Cancelled, it has taken none.
    async fn records(&mut self) -> Result<Vec<ConsumerRecord>, BrokerError> {
        if !self.early.is_empty() {
            return Ok(std::mem::take(&mut self.early));
        }
        loop {
            self.join().await?;
            self.tell().await?;
            let Some(line) = &self.line else {
                return Err(BrokerError("there is no connection".into()));
            };
            let polled = line.consumer.poll(POLL).await;
            self.notice();
            match polled {
                Ok(records) if records.is_empty() => {}
                Ok(records) => return Ok(records),
                Err(error) => return Err(self.lose(unavailable(error))),
            }
        }
    }

    fn delivery(&mut self, records: Vec<ConsumerRecord>) -> Delivery {
        self.receipts += 1;
        let receipt = Receipt(self.receipts);
        let (mut messages, mut links) = (Vec::new(), Vec::new());
        for record in records {
            self.hands.take(receipt, record.partition, record.offset);
            let body = record.value.as_deref().unwrap_or_default();
            let envelope = match adapter::envelope(body) {
                Ok(envelope) => envelope,
                Err(error) => {
                    self.shared.metrics.undecodable.inc();
                    let (partition, offset) = (record.partition, record.offset);
                    tracing::error!(partition, offset, %error, "no message: it stays in the topic");
                    continue;
                }
            };
            self.shared.metrics.delivered.inc();
            if self.group.wants(&envelope.message.contract) {
                links.push(adapter::link(&envelope));
                messages.push(envelope.message);
            }
        }
        self.measure();
        Delivery {
            messages,
            progress: Progress::Receipt { receipt, links },
        }
    }

    /// Commits what Kafka has not heard of. It takes nothing while the group is being shared out anew: what is still this
    /// member's afterwards is told then. Cancelled, it tells it again.
    async fn tell(&mut self) -> Result<(), BrokerError> {
        let untold = self.hands.untold();
        let Some(line) = self.line.as_ref().filter(|_| !untold.is_empty()) else {
            return Ok(());
        };
        let topic = topic(&self.shared.settings);
        let offsets = untold.iter().map(|(partition, offset)| {
            let place = TopicPartition::new(topic.as_str(), *partition);
            (place, OffsetAndMetadata::new(*offset))
        });
        let bound = self.shared.settings.request_timeout;
        let committing = line.consumer.commit_offsets(offsets.collect::<Vec<_>>());
        match timeout(bound, committing).await {
            Ok(Ok(())) => {
                self.hands.told(&untold);
                Ok(())
            }
            Ok(Err(error)) if is_shared_out_anew(&error) => Ok(()),
            Ok(Err(error)) => Err(self.lose(unavailable(error))),
            Err(_late) => {
                let late = format!("Kafka did not answer within {bound:?}");
                Err(self.lose(BrokerError(late)))
            }
        }
    }

    /// Forgets what was in hand of partitions that are somebody else's now.
    fn notice(&mut self) {
        let Some(line) = &self.line else { return };
        let taken = std::mem::take(&mut *line.taken_away.0.lock());
        for partition in taken {
            self.hands.forget(partition);
            self.early.retain(|record| record.partition != partition);
        }
        self.measure();
    }

    fn measure(&mut self) {
        let held = self.hands.records() + self.early.len();
        let held = i64::try_from(held).unwrap_or(i64::MAX);
        let before = std::mem::replace(&mut self.held, held);
        self.metrics.held.inc_by(held - before);
    }

    fn lose(&mut self, error: BrokerError) -> BrokerError {
        self.line = None;
        self.hands.forget_all();
        self.early.clear();
        self.backoff.failed();
        self.measure();
        error
    }
}

#[async_trait]
impl Subscription for KafkaSubscription {
    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        let records = self.records().await?;
        Ok(self.delivery(records))
    }

    async fn acknowledge(&mut self, receipt: Receipt) -> Result<(), BrokerError> {
        self.acknowledge_all(&[receipt]).await
    }

    /// What went to another member meanwhile is told by that one: it is delivered there, as a repeat.
    async fn acknowledge_all(&mut self, receipts: &[Receipt]) -> Result<(), BrokerError> {
        self.notice();
        let lost = || BrokerError("the connection that it came on is lost".into());
        let before = self.line.as_ref().ok_or_else(lost)?.receipts_before;
        if receipts.iter().any(|receipt| receipt.0 <= before) {
            return Err(lost());
        }
        for receipt in receipts {
            self.hands.done(*receipt);
        }
        self.measure();
        self.tell().await
    }

    async fn extend(&mut self, receipt: Receipt) -> Result<(), BrokerError> {
        self.extend_all(&[receipt]).await
    }

    /// Kafka gives partitions to others when a member asks for nothing for too long, so this asks for nothing new, once for
    /// everything that is in hand.
    async fn extend_all(&mut self, _receipts: &[Receipt]) -> Result<(), BrokerError> {
        let Some(line) = &self.line else {
            return Err(BrokerError("there is no connection".into()));
        };
        let topic = topic(&self.shared.settings);
        let all: Vec<i32> = (0..i32::from(PARTITIONS)).collect();
        line.consumer.pause(&topic, &all).await;
        let polled = line.consumer.poll(Duration::ZERO).await;
        line.consumer.resume(&topic, &all).await;
        match polled {
            Ok(records) => {
                // One poll may lose a partition, join again and fetch of it: only what came before that is somebody else's.
                self.notice();
                self.early.extend(records);
                self.measure();
                Ok(())
            }
            Err(error) => Err(self.lose(unavailable(error))),
        }
    }
}

impl Drop for KafkaSubscription {
    fn drop(&mut self) {
        self.metrics.held.dec_by(self.held);
    }
}

impl Line {
    async fn open(shared: &Shared, group: &str, receipts: u64) -> Result<Self, BrokerError> {
        let settings = &shared.settings;
        let kafka = connect(settings).await?;
        shared.metrics.connects.inc();
        let taken_away = TakenAway::default();
        let messages_max = i32::from(settings.delivery_messages_max);
        let consumer = kafka
            .consumer(format!("{}.{group}", settings.prefix))
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .enable_auto_commit(false)
            .partition_assignment_strategy(PartitionAssignmentStrategy::CooperativeSticky)
            .session_timeout(settings.session_timeout)
            .heartbeat_interval(settings.session_timeout / HEARTBEATS)
            .max_poll_interval(settings.work_max)
            .max_poll_records(messages_max)
            .max_buffered_records(messages_max)
            .rebalance_listener(taken_away.clone());
        let consumer = Arc::new(consumer.build().await.map_err(unavailable)?);
        let subscribed = consumer.subscribe([topic(settings)]).await;
        subscribed.map_err(unavailable)?;
        Ok(Self {
            _kafka: kafka,
            consumer,
            taken_away,
            receipts_before: receipts,
        })
    }
}

/// The group's members are being given their partitions, or this one left while it worked for too long: it has to join
/// again, which the next poll does.
fn is_shared_out_anew(error: &KrafkaError) -> bool {
    use ErrorCode::{IllegalGeneration, RebalanceInProgress, UnknownMemberId};
    match error {
        KrafkaError::Broker { code, .. } => matches!(
            code,
            IllegalGeneration | RebalanceInProgress | UnknownMemberId
        ),
        // It knows itself that it is no member now.
        KrafkaError::IllegalState { .. } => true,
        _ => false,
    }
}

impl Drop for Line {
    /// Leaves the group in the background: nobody waits for the end of a session then.
    fn drop(&mut self) {
        let consumer = Arc::clone(&self.consumer);
        if tokio::runtime::Handle::try_current().is_ok() {
            let _unobserved = task::spawn("kafka-close", async move {
                let _closed = consumer.close().await;
            });
        }
    }
}
