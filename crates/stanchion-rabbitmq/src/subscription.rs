//! A group's member: a connection, and a lane for each partition.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use lapin::Connection;
use stanchion_messaging::{
    BrokerError, Delivery, Envelope, Group, Link, PARTITIONS, Progress, Receipt, Subscription,
};
use tokio::time::{Instant, timeout};

use crate::balance::{Membership, surplus};
use crate::broker::Shared;
use crate::connect::{Backoff, unavailable};
use crate::lane::Lane;
use crate::metrics::GroupMetrics;
use crate::topology::{self, Names, look};

/// The most messages of one delivery; each partition has its part of them.
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

/// A connection to consume on.
struct Line {
    connection: Connection,
    membership: Membership,
    /// Without one where a partition was left to others and is not yet asked for again.
    lanes: Vec<Option<Lane>>,
    /// Receipts up to this one belong to an earlier connection.
    receipts_before: u64,
    balance_at: Instant,
    /// Partitions whose active members are to be told of a change.
    probe: Vec<u16>,
    /// The two take turns: upkeep that is interrupted again and again does not hold back messages, nor do they hold it up.
    messages_first: bool,
}

/// Whose turn it is.
enum Turn {
    /// What has arrived is handed out.
    Messages,
    /// The partitions are looked after.
    Upkeep,
}

impl RabbitMqSubscription {
    pub(crate) async fn open(shared: Arc<Shared>, group: Group) -> Result<Self, BrokerError> {
        let metrics = shared.metrics.group(&group.name);
        let held_max = i64::from(shared.settings.prefetch) * i64::from(PARTITIONS);
        metrics.held_max.set(held_max);
        let mut subscription = Self {
            backoff: Backoff::new(&shared.settings),
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
            let opening = Line::open(&self.shared, &self.group.name, self.receipts);
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
        let shared = Arc::clone(&self.shared);
        let (metrics, name) = (self.metrics.clone(), self.group.name.clone());
        let line = self.line().await?;
        loop {
            let balance_at = line.balance_at;
            let turn = tokio::select! {
                biased;
                turn = line.turn(&shared) => turn?,
                () = tokio::time::sleep_until(balance_at) => Turn::Upkeep,
            };
            match turn {
                Turn::Messages => {
                    line.messages_first = false;
                    return Ok(());
                }
                Turn::Upkeep => line.keep_up(&shared, &name, &metrics).await?,
            }
        }
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
        let lost = || BrokerError("the connection that it came on is lost".into());
        let line = self.line.as_mut().ok_or_else(lost)?;
        if receipt.0 <= line.receipts_before {
            return Err(lost());
        }
        let mut acknowledged = Ok(());
        for lane in line.lanes.iter_mut().flatten() {
            acknowledged = acknowledged.and(lane.acknowledge(receipt).await);
        }
        if let Err(error) = acknowledged {
            return Err(self.lose(error));
        }
        self.measure();
        Ok(())
    }

    // A member keeps what it has as long as its connection lives, so `extend` has nothing to do; only the broker's own
    // `consumer_timeout` (30 minutes unless configured) ends a channel on which something is unacknowledged for longer.
}

impl Drop for RabbitMqSubscription {
    fn drop(&mut self) {
        self.metrics.held.dec_by(self.held);
    }
}

impl Line {
    async fn open(shared: &Shared, group: &str, receipts: u64) -> Result<Self, BrokerError> {
        let settings = &shared.settings;
        let names = Names::new(settings);
        let connection = shared.dialer.dial(group).await?;
        shared.metrics.connects.inc();
        topology::declare_shared(&connection, settings).await?;
        topology::declare_group(&connection, settings, group).await?;
        let membership = Membership::join(&connection, names.members(group)).await?;
        let mut line = Self {
            connection,
            membership,
            lanes: (0..PARTITIONS).map(|_| None).collect(),
            receipts_before: receipts,
            balance_at: Instant::now() + settings.balance_every,
            probe: Vec::new(),
            messages_first: true,
        };
        line.ask_again(shared, group).await?;
        // Where there are others, whoever is active learns that there is one more.
        line.balance(shared, group).await?;
        Ok(line)
    }

    /// Opens the lanes that are not there.
    async fn ask_again(&mut self, shared: &Shared, group: &str) -> Result<(), BrokerError> {
        let names = Names::new(&shared.settings);
        let missing = (0..PARTITIONS).zip(&mut self.lanes);
        let missing = missing.filter(|(_, lane)| lane.is_none());
        let (connection, prefetch) = (&self.connection, shared.settings.prefetch);
        // All at the same time: each takes some round trips.
        try_join_all(missing.map(|(partition, lane)| {
            let queue = names.queue(group, partition);
            async move {
                *lane = Some(Lane::open(connection, &queue, prefetch).await?);
                Ok::<_, BrokerError>(())
            }
        }))
        .await?;
        Ok(())
    }

    /// Waits until something has arrived or is to be done, or a lane has ended.
    async fn turn(&mut self, shared: &Shared) -> Result<Turn, BrokerError> {
        poll_fn(|context| {
            let (mut messages, mut upkeep) = (false, self.is_behind());
            for lane in self.lanes.iter_mut().flatten() {
                if let Err(error) = lane.take_in(context, &shared.metrics) {
                    return Poll::Ready(Err(error));
                }
                messages |= lane.has_arrived();
                upkeep |= lane.is_probed;
            }
            upkeep |= Instant::now() >= self.balance_at;
            match (messages, upkeep) {
                (false, false) => Poll::Pending,
                (true, _) if self.messages_first || !upkeep => Poll::Ready(Ok(Turn::Messages)),
                _ => Poll::Ready(Ok(Turn::Upkeep)),
            }
        })
        .await
    }

    /// Whether an earlier upkeep was interrupted.
    fn is_behind(&self) -> bool {
        !self.probe.is_empty() || self.lanes.iter().any(Option::is_none)
    }

    /// Does what is due. Cancelled, it goes on at the next time, after what has arrived by then.
    async fn keep_up(
        &mut self,
        shared: &Shared,
        group: &str,
        metrics: &GroupMetrics,
    ) -> Result<(), BrokerError> {
        self.messages_first = true;
        let looks = Instant::now() >= self.balance_at;
        if looks || self.lanes.iter().flatten().any(|lane| lane.is_probed) {
            self.balance(shared, group).await?;
        } else {
            self.catch_up(shared, group).await?;
        }
        if looks {
            self.look_around(shared, group, metrics).await?;
        }
        Ok(())
    }

    /// Counts the members and leaves what is more than this one's share.
    async fn balance(&mut self, shared: &Shared, group: &str) -> Result<(), BrokerError> {
        // Before anything that may be interrupted: it is not begun anew at once.
        self.balance_at = Instant::now() + shared.settings.balance_every;
        let (members, changed) = self.membership.count().await?;
        let lanes = || self.lanes.iter().flatten();
        let surplus = surplus(lanes().filter(|lane| lane.is_active).count(), members);
        let free = |lane: &Lane| lane.is_active && !lane.is_in_hands();
        let leave = (0..PARTITIONS).zip(&mut self.lanes);
        let leave = leave.filter(|(_, lane)| lane.as_ref().is_some_and(free));
        for (partition, lane) in leave.take(surplus) {
            *lane = None;
            self.probe.push(partition);
        }
        if changed && members > 1 {
            self.probe = (0..PARTITIONS).collect();
        }
        for lane in self.lanes.iter_mut().flatten() {
            lane.is_probed = false;
        }
        self.catch_up(shared, group).await
    }

    /// Asks again for the partitions that were left, and sends the probes that are not sent yet.
    async fn catch_up(&mut self, shared: &Shared, group: &str) -> Result<(), BrokerError> {
        self.ask_again(shared, group).await?;
        let names = Names::new(&shared.settings);
        while let Some(partition) = self.probe.last() {
            let queue = names.queue(group, *partition);
            self.membership.probe(&queue).await?;
            self.probe.pop();
        }
        Ok(())
    }

    /// Looks how much waits.
    async fn look_around(
        &self,
        shared: &Shared,
        group: &str,
        metrics: &GroupMetrics,
    ) -> Result<(), BrokerError> {
        let names = Names::new(&shared.settings);
        let channel = self
            .connection
            .create_channel()
            .await
            .map_err(unavailable)?;
        let mut waiting = 0;
        for partition in 0..PARTITIONS {
            let queue = look(&channel, &names.queue(group, partition)).await?;
            let gone = || BrokerError("a queue of the group has been deleted".into());
            waiting += i64::from(queue.ok_or_else(gone)?.message_count());
        }
        metrics.waiting.set(waiting);
        if let Some(dead) = look(&channel, &names.dead()).await? {
            let dead = i64::from(dead.message_count());
            shared.metrics.dead.set(dead);
        }
        Ok(())
    }
}

fn link(envelope: &Envelope) -> Link {
    Link {
        log: envelope.message.origin.log,
        partition: envelope.partition,
        prev: envelope.prev,
        position: envelope.message.origin.position,
    }
}
