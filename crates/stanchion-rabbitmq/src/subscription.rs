//! A group's member: what it is given and what of that it has acknowledged.

use std::sync::Arc;

use async_trait::async_trait;
use stanchion_messaging::adapter::{Backoff, link};
use stanchion_messaging::{
    BrokerError, Delivery, Group, PARTITIONS, Progress, Receipt, Subscription,
};
use tokio::time::timeout;

use crate::broker::Shared;
use crate::lane::Lane;
use crate::line::Line;
use crate::metrics::GroupMetrics;
use crate::topology::GroupKind;

/// Messages of one delivery, more only by the bundles that are begun; each partition has its part of them.
const DELIVERY_MESSAGES_MAX: usize = 256;
const OF_PARTITION_MAX: usize = DELIVERY_MESSAGES_MAX / PARTITIONS as usize;

/// A member of a group. Dropped, its connection ends and the broker gives what it held to another one, in order.
pub(crate) struct RabbitMqSubscription {
    shared: Arc<Shared>,
    group: Group,
    metrics: GroupMetrics,
    backoff: Backoff,
    line: Option<Line>,
    receipts: u64,
    /// What the gauge has of this member.
    held: i64,
}

impl RabbitMqSubscription {
    pub(crate) async fn open(shared: Arc<Shared>, group: Group) -> Result<Self, BrokerError> {
        let metrics = shared.metrics.group(&group.name);
        let held_max = i64::from(shared.settings.prefetch) * i64::from(PARTITIONS);
        metrics.held_max.set(held_max);
        let mut subscription = Self {
            backoff: Backoff::new(shared.settings.backoff_base, shared.settings.backoff_max),
            shared,
            group,
            metrics,
            line: None,
            receipts: 0,
            held: 0,
        };
        subscription.line().await?;
        Ok(subscription)
    }

    /// The connection, made anew where there is none.
    async fn line(&mut self) -> Result<&mut Line, BrokerError> {
        if self.line.is_none() {
            self.backoff.wait().await;
            let bound = self.shared.settings.connect_timeout;
            let kind = GroupKind::of(&self.group);
            let opening = Line::open(&self.shared, kind, self.receipts);
            let late = |_| BrokerError(format!("RabbitMQ did not answer within {bound:?}"));
            let opened = timeout(bound, opening).await.map_err(late);
            match opened.and_then(|opened| opened) {
                Ok(line) => {
                    self.backoff.succeeded();
                    self.line = Some(line);
                }
                Err(error) => {
                    self.backoff.failed();
                    return Err(error);
                }
            }
        }
        let none = || BrokerError("there is no connection".into());
        self.line.as_mut().ok_or_else(none)
    }

    /// What has arrived, as one delivery.
    fn hand_out(&mut self) -> Delivery {
        self.receipts += 1;
        let receipt = Receipt(self.receipts);
        let lanes = self.line.iter_mut().flat_map(|line| &mut line.lanes);
        let envelopes = lanes
            .flatten()
            .flat_map(|lane| lane.hand_out(receipt, OF_PARTITION_MAX));
        let (mut messages, mut links) = (Vec::new(), Vec::new());
        for envelope in envelopes {
            if self.group.wants(&envelope.message.contract) {
                links.push(link(&envelope));
                messages.push(envelope.message);
            }
        }
        self.measure();
        Delivery {
            messages,
            progress: Progress::Receipt { receipt, links },
        }
    }

    fn measure(&mut self) {
        let lanes = self.line.iter().flat_map(|line| &line.lanes).flatten();
        let held: usize = lanes.map(Lane::held).sum();
        let held = i64::try_from(held).unwrap_or(i64::MAX);
        let before = std::mem::replace(&mut self.held, held);
        self.metrics.held.inc_by(held - before);
    }

    /// Everything that was held goes back to the broker.
    fn lose(&mut self, error: BrokerError) -> BrokerError {
        self.line = None;
        self.measure();
        error
    }

    async fn wait(&mut self) -> Result<(), BrokerError> {
        let (shared, metrics) = (Arc::clone(&self.shared), self.metrics.clone());
        self.line().await?.wait(&shared, &metrics).await
    }
}

#[async_trait]
impl Subscription for RabbitMqSubscription {
    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        match self.wait().await {
            Ok(()) => Ok(self.hand_out()),
            Err(error) => Err(self.lose(error)),
        }
    }

    async fn acknowledge(&mut self, receipt: Receipt) -> Result<(), BrokerError> {
        self.acknowledge_all(&[receipt]).await
    }

    async fn acknowledge_all(&mut self, receipts: &[Receipt]) -> Result<(), BrokerError> {
        let lost = || BrokerError("the connection that it came on is lost".into());
        let line = self.line.as_mut().ok_or_else(lost)?;
        if receipts
            .iter()
            .any(|receipt| receipt.0 <= line.receipts_before)
        {
            return Err(lost());
        }
        let mut acknowledged = Ok(());
        for lane in line.lanes.iter_mut().flatten() {
            acknowledged = acknowledged.and(lane.acknowledge(receipts).await);
        }
        if let Err(error) = acknowledged {
            return Err(self.lose(error));
        }
        self.measure();
        Ok(())
    }

    fn tenure(&self, partition: u16) -> Option<u64> {
        let lane = self.line.as_ref()?.lanes.get(usize::from(partition))?;
        lane.as_ref()?.tenure()
    }

    // A member keeps what it has as long as its connection lives, so `extend` has nothing to do; only the broker's own
    // `consumer_timeout` (30 minutes unless configured) ends a channel on which something is unacknowledged for longer.
}

impl Drop for RabbitMqSubscription {
    fn drop(&mut self) {
        self.metrics.held.dec_by(self.held);
    }
}
