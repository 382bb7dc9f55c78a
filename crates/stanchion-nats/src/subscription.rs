//! A group's member: it asks each partition for its next message, and has one of each at the most.

mod coming;
mod telling;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message as Raw, Subject, Subscriber as Inbox};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use stanchion_messaging::{
    BrokerError, Delivery, Group, Link, Message, PARTITIONS, Progress, Receipt, Subscription,
};
use stanchion_runtime::task::{self, Task};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::connection::{Connection, unavailable};
use super::give_back::{give_back, give_back_late};
use super::lane::{Lane, Turn, Want};
use super::metrics::GroupMetrics;
use super::names::Names;
use super::words::{self, ACK, PROGRESS};

/// How long the server may be out of sight before a wait looks again.
const LOOK: Duration = Duration::from_millis(250);

const LANES: usize = PARTITIONS as usize;

pub(crate) struct NatsSubscription {
    connection: Arc<Connection>,
    group: Group,
    /// There until nothing more is taken.
    inbox: Option<Inbox>,
    inbox_name: String,
    epoch: watch::Receiver<u64>,
    /// Whether stream and consumers are there is not known.
    is_in_doubt: bool,
    /// Somebody looks whether they are.
    looking: Option<Task<Result<(), BrokerError>>>,
    lanes: [Lane; LANES],
    turns: [Turn; LANES],
    /// Of which lanes the last message was delivered too often.
    given_up: [bool; LANES],
    pending: [u64; LANES],
    /// What the last acknowledgement of each lane answered, and when, until something that comes shows that the server has
    /// heard it.
    unheard: [Option<(Subject, Instant)>; LANES],
    ready: Vec<Held>,
    in_hand: HashMap<Receipt, Vec<Held>>,
    receipts: u64,
    metrics: GroupMetrics,
}

/// A message that is here.
struct Held {
    partition: u16,
    reply: Subject,
    /// Those that the group wants: none, one, or of a bundle. The others are acknowledged with them.
    messages: Vec<(Message, Link)>,
}

impl NatsSubscription {
    pub(crate) async fn open(
        connection: Arc<Connection>,
        group: Group,
    ) -> Result<Self, BrokerError> {
        let mut epoch = connection.epoch();
        epoch.borrow_and_update();
        connection.group(&group.name).await?;
        let inbox_name = connection.client.new_inbox();
        let inbox = connection.client.subscribe(format!("{inbox_name}.*"));
        Ok(Self {
            inbox: Some(inbox.await.map_err(unavailable)?),
            metrics: connection.metrics.group(&group.name),
            connection,
            group,
            inbox_name,
            epoch,
            is_in_doubt: false,
            looking: None,
            lanes: [Lane::Idle; LANES],
            turns: [Turn::default(); LANES],
            given_up: [false; LANES],
            pending: [0; LANES],
            unheard: [const { None }; LANES],
            ready: Vec::new(),
            in_hand: HashMap::new(),
            receipts: 0,
        })
    }

    /// Sees to it that every lane without a message has asked for one.
    async fn ask(&mut self) -> Result<(), BrokerError> {
        // Also without a connection, for a wait ends at once as long as nobody has seen it.
        if self.epoch.has_changed().unwrap_or(false) {
            // The server may be another one, or have lost what it had.
            self.epoch.borrow_and_update();
            self.lanes = self.lanes.map(Lane::reconnected);
            self.is_in_doubt = true;
        }
        if !self.connection.is_connected() {
            return Ok(());
        }
        let now = Instant::now();
        let wants = self.lanes.map(|lane| lane.want(now));
        if self.is_in_doubt || wants.contains(&Want::Check) {
            self.turns = self.turns.map(Turn::over);
            self.look_after().await?;
            self.is_in_doubt = false;
        }
        for (partition, want) in (0..PARTITIONS).zip(wants) {
            if want != Want::Nothing {
                match self.to_say_again(usize::from(partition), now) {
                    Some(reply) => self.next_of(&[(partition, reply)]).await?,
                    None => self.pull(partition).await?,
                }
                self.lanes[usize::from(partition)] = Lane::asked(now);
            }
        }
        Ok(())
    }

    /// Sees to it that stream and consumers are there. Cancel-safe: the next call goes on with what this one began, or a
    /// server that takes longer to answer than a wait is left alone would never be done with it.
    async fn look_after(&mut self) -> Result<(), BrokerError> {
        let (connection, group) = (&self.connection, &self.group.name);
        let looking = self.looking.get_or_insert_with(|| {
            let (connection, group) = (Arc::clone(connection), group.clone());
            task::spawn("nats-group", async move { connection.group(&group).await })
        });
        let looked = looking.await;
        self.looking = None;
        looked.unwrap_or_else(|failed| Err(unavailable(failed)))
    }

    async fn pull(&self, partition: u16) -> Result<(), BrokerError> {
        let stream = self.connection.names.stream();
        let consumer = Names::consumer(&self.group.name, partition);
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
        self.ask_by(partition, subject.into(), words::request())
            .await
    }

    async fn ask_by(
        &self,
        partition: u16,
        subject: Subject,
        ask: Bytes,
    ) -> Result<(), BrokerError> {
        let reply = format!("{}.{partition}", self.inbox_name);
        let client = &self.connection.client;
        let asked = client.publish_with_reply(subject, reply, ask);
        asked.await.map_err(unavailable)
    }

    fn deliver(&mut self) -> Delivery {
        self.receipts += 1;
        let receipt = Receipt(self.receipts);
        let mut held = std::mem::take(&mut self.ready);
        let messages = held.iter_mut();
        let messages = messages.flat_map(|held| std::mem::take(&mut held.messages));
        let (messages, links) = messages.unzip();
        self.in_hand.insert(receipt, held);
        Delivery {
            messages,
            progress: Progress::Receipt { receipt, links },
        }
    }

    /// When a wait looks again by itself.
    fn looks(&self) -> Instant {
        let wakes = self.lanes.iter().filter_map(|lane| lane.wakes()).min();
        let now = Instant::now();
        match wakes {
            Some(wakes) if self.connection.is_connected() => wakes.max(now + LOOK / 10),
            _ => now + LOOK,
        }
    }

    fn measure(&self) {
        let held = self.lanes.iter().filter(|lane| **lane == Lane::Held);
        self.metrics.held.set(held.count() as i64);
        let pending: u64 = self.pending.iter().sum();
        self.metrics
            .pending
            .set(i64::try_from(pending).unwrap_or(i64::MAX));
    }
}

#[async_trait]
impl Subscription for NatsSubscription {
    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        loop {
            self.ask().await?;
            // Everything that is here already goes into one delivery.
            while let Some(Some(raw)) = incoming(&mut self.inbox).now_or_never() {
                self.came(raw).await?;
            }
            self.measure();
            if !self.ready.is_empty() {
                return Ok(self.deliver());
            }
            let look = self.looks();
            tokio::select! {
                raw = incoming(&mut self.inbox) => match raw {
                    Some(raw) => self.came(raw).await?,
                    None => return Err(BrokerError("the connection to NATS has ended".into())),
                },
                changed = self.epoch.changed() => {
                    changed.map_err(unavailable)?;
                    self.epoch.mark_changed();
                }
                () = sleep_until(look) => {}
            }
        }
    }

    async fn acknowledge(&mut self, receipt: Receipt) -> Result<(), BrokerError> {
        self.acknowledge_all(&[receipt]).await
    }

    /// In one word with the request for what comes next. Nobody waits until the server has heard it: what comes next shows
    /// that, and over another connection it is said again. A member that takes no more asks for nothing, so it waits.
    async fn acknowledge_all(&mut self, receipts: &[Receipt]) -> Result<(), BrokerError> {
        let replies = self.replies(receipts)?;
        self.connection.connected().await?;
        let asks = self.inbox.is_some();
        match asks {
            true => self.next_of(&replies).await?,
            false => self.tell(&replies, ACK).await?,
        }
        for receipt in receipts {
            self.in_hand.remove(receipt);
        }
        let now = Instant::now();
        for (partition, reply) in replies {
            let lane = usize::from(partition);
            self.lanes[lane] = Lane::asked(now);
            self.unheard[lane] = asks.then_some((reply, now));
        }
        self.measure();
        Ok(())
    }

    fn tenure(&self, partition: u16) -> Option<u64> {
        let turn = self.turns.get(usize::from(partition))?;
        Some(turn.tenure)
    }

    /// Gives back what nobody was handed, and asks for nothing more: what is on its way would otherwise be missed by its
    /// partition until the server has waited for us.
    fn takes_no_more(&mut self) {
        for held in self.ready.drain(..) {
            give_back(&self.connection, held.reply);
        }
        if let Some(inbox) = self.inbox.take() {
            give_back_late(&self.connection, inbox);
        }
    }

    fn gives_up(&self, partition: u16) -> bool {
        let lane = self.given_up.get(usize::from(partition));
        lane.copied().unwrap_or_default()
    }

    async fn extend(&mut self, receipt: Receipt) -> Result<(), BrokerError> {
        self.extend_all(&[receipt]).await
    }

    async fn extend_all(&mut self, receipts: &[Receipt]) -> Result<(), BrokerError> {
        self.tell(&self.replies(receipts)?, PROGRESS).await
    }
}

impl Drop for NatsSubscription {
    /// Gives back what is here, at once; where the client has no room left, the server finds out after its wait.
    fn drop(&mut self) {
        self.acknowledge_again();
        for held in self.in_hand.drain().flat_map(|(_, held)| held) {
            give_back(&self.connection, held.reply);
        }
        if let Some(looking) = &self.looking {
            looking.abort();
        }
        self.metrics.held.set(0);
        self.metrics.pending.set(0);
        self.takes_no_more();
    }
}

async fn incoming(inbox: &mut Option<Inbox>) -> Option<Raw> {
    inbox.as_mut()?.next().await
}
