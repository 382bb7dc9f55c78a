//! One partition of a subscription: a channel, what came on it, and what of that is in somebody's hands.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};
use stanchion_messaging::{BrokerError, Bundle, Envelope, Receipt};

use crate::connect::unavailable;
use crate::metrics::BrokerMetrics;
use crate::topology::REPLY_SUCCESS;
use crate::{balance, wire};

/// A consumer on one partition's queue.
///
/// A channel of its own, because one acknowledgement stands for all earlier ones of its channel.
pub(crate) struct Lane {
    channel: Channel,
    consumer: Consumer,
    arrived: VecDeque<Arrived>,
    handed_out: VecDeque<HandedOut>,
    /// The first delivery that had something of this partition. The broker gives it to nobody else as long as this consumer
    /// is there.
    first: Option<Receipt>,
    /// The broker has sent it something, so it is the one that is active.
    pub(crate) is_active: bool,
    /// It was sent a probe: there may be a member more.
    pub(crate) is_probed: bool,
}

/// A message, or a bundle of them, that nobody has been given yet.
struct Arrived {
    tag: u64,
    envelopes: Vec<Envelope>,
}

/// What one delivery has of this partition.
struct HandedOut {
    receipt: Receipt,
    tags: Vec<u64>,
}

impl Lane {
    pub(crate) async fn open(
        connection: &Connection,
        queue: &str,
        prefetch: u16,
    ) -> Result<Self, BrokerError> {
        let channel = connection.create_channel().await.map_err(unavailable)?;
        let qos = channel.basic_qos(prefetch, BasicQosOptions::default());
        qos.await.map_err(unavailable)?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(queue.into(), "".into(), options, none);
        Ok(Self {
            consumer: consumer.await.map_err(unavailable)?,
            channel,
            arrived: VecDeque::new(),
            handed_out: VecDeque::new(),
            first: None,
            is_active: false,
            is_probed: false,
        })
    }

    /// Takes in what came, as much as the broker sends without acknowledgement.
    pub(crate) fn take_in(
        &mut self,
        context: &mut Context<'_>,
        metrics: &BrokerMetrics,
    ) -> Result<(), BrokerError> {
        while let Poll::Ready(delivery) = self.consumer.poll_next_unpin(context) {
            let ended = || BrokerError("RabbitMQ has ended the subscription".into());
            let delivery = delivery.ok_or_else(ended)?.map_err(unavailable)?;
            self.is_active = true;
            self.arrives(delivery, metrics);
        }
        Ok(())
    }

    fn arrives(&mut self, delivery: Delivery, metrics: &BrokerMetrics) {
        if balance::is_probe(&delivery.properties) {
            self.is_probed = true;
            let tag = delivery.delivery_tag;
            settle(self.channel.basic_ack(tag, BasicAckOptions::default()));
            return;
        }
        match Bundle::open(&delivery.data) {
            Ok(envelopes) => {
                metrics.delivered.inc_by(envelopes.len() as u64);
                if wire::redelivered(&delivery.properties, delivery.redelivered) {
                    metrics.redelivered.inc();
                }
                let tag = delivery.delivery_tag;
                self.arrived.push_back(Arrived { tag, envelopes });
            }
            Err(error) => {
                metrics.undecodable.inc();
                let (queue, bytes) = (self.consumer.queue(), delivery.data.len());
                tracing::error!(%queue, bytes, %error, "no message: it goes to the broker's dead letters");
                let tag = delivery.delivery_tag;
                settle(
                    self.channel
                        .basic_reject(tag, BasicRejectOptions::default()),
                );
            }
        }
    }

    /// Hands out in order until there are so many; a bundle as a whole.
    pub(crate) fn hand_out(&mut self, receipt: Receipt, most: usize) -> Vec<Envelope> {
        let (mut tags, mut envelopes) = (Vec::new(), Vec::new());
        while envelopes.len() < most
            && let Some(arrived) = self.arrived.pop_front()
        {
            tags.push(arrived.tag);
            envelopes.extend(arrived.envelopes);
        }
        if !tags.is_empty() {
            self.first.get_or_insert(receipt);
            self.handed_out.push_back(HandedOut { receipt, tags });
        }
        envelopes
    }

    /// Acknowledges what those deliveries had of this partition, in as few words as can be.
    pub(crate) async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), BrokerError> {
        let is_told = |handed: &HandedOut| receipts.contains(&handed.receipt);
        // An acknowledgement for all earlier ones is one only while none of those is in other hands.
        let mut upto = None;
        while let Some(handed) = self.handed_out.pop_front_if(|handed| is_told(handed)) {
            upto = handed.tags.last().copied().or(upto);
        }
        if let Some(tag) = upto {
            self.tell(tag, true).await?;
        }
        while let Some(index) = self.handed_out.iter().position(is_told) {
            let Some(handed) = self.handed_out.remove(index) else {
                return Ok(());
            };
            for tag in handed.tags {
                self.tell(tag, false).await?;
            }
        }
        Ok(())
    }

    async fn tell(&self, tag: u64, multiple: bool) -> Result<(), BrokerError> {
        let acknowledged = self.channel.basic_ack(tag, BasicAckOptions { multiple });
        acknowledged.await.map_err(unavailable)
    }

    /// Which time of this member with the partition it is, once something of it was handed out.
    pub(crate) fn tenure(&self) -> Option<u64> {
        self.first.map(|receipt| receipt.0)
    }

    pub(crate) fn has_arrived(&self) -> bool {
        !self.arrived.is_empty()
    }

    pub(crate) fn is_in_hands(&self) -> bool {
        !self.handed_out.is_empty()
    }

    /// Messages it holds, a bundle being one: those in hands and those that wait to be.
    pub(crate) fn held(&self) -> usize {
        let handed = self.handed_out.iter().map(|handed| handed.tags.len());
        self.arrived.len() + handed.sum::<usize>()
    }
}

impl Drop for Lane {
    /// Closes the channel before the library cancels the consumer: a consumer that is cancelled keeps what it has while
    /// the next one is already sent what comes after it; a channel that closes gives everything back first.
    fn drop(&mut self) {
        let closing = self.channel.close(REPLY_SUCCESS, "OK".into());
        let _sent = closing.now_or_never();
    }
}

/// Sends it off without waiting: the library does so when it is first asked. It keeps the order of what is told to one
/// channel; what a delivery's own acker is told may be overtaken by an acknowledgement for all earlier ones, and then
/// the broker ends the channel.
fn settle(sending: impl Future<Output = lapin::Result<()>>) {
    let _sent = sending.now_or_never();
}
