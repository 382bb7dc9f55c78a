//! Publishing: one connection, a channel for each partition, one unconfirmed message on each.

use std::sync::Arc;

use futures_util::future::{try_join, try_join_all};
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use stanchion_messaging::adapter::{self, Backoff};
use stanchion_messaging::{BrokerError, Bundle, Envelope, PARTITIONS, PublishError};
use stanchion_runtime::task::{self, Task, TaskFailed};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::broker::Shared;
use crate::connect::{confirming, unavailable};
use crate::store::StoreWatch;
use crate::topology::{self, Names, routing_key};
use crate::wire;

/// What the broker says of a message that is larger than its `max_message_size`, among others.
const PRECONDITION_FAILED: u16 = 406;

/// The publishing half of a broker's client. Nothing is connected before it is needed.
pub(crate) struct Lines {
    slot: Mutex<Slot>,
}

struct Slot {
    line: Option<Arc<Line>>,
    /// Goes on when who waits for it gives up: a broker under load may take longer than one publish.
    opening: Option<Task<Result<Line, BrokerError>>>,
    backoff: Backoff,
}

/// What the broker is handed.
pub(crate) struct Sending {
    partition: u16,
    routing_key: String,
    body: Vec<u8>,
    properties: BasicProperties,
    pub(crate) messages: u64,
}

/// A connection to publish on.
struct Line {
    connection: Connection,
    store: StoreWatch,
    lanes: Vec<Mutex<Channel>>,
    since: Instant,
}

impl Sending {
    /// A message that goes by itself.
    pub(crate) fn alone(envelope: &Envelope, bytes_max: usize) -> Result<Self, PublishError> {
        Ok(Self {
            partition: envelope.partition,
            routing_key: routing_key(&envelope.message.contract, envelope.partition),
            body: adapter::body(envelope, bytes_max)?,
            properties: wire::properties(envelope),
            messages: 1,
        })
    }

    /// Several as one, to where `first` would go.
    pub(crate) fn together(bundle: Bundle, first: &Envelope) -> Self {
        Self {
            partition: first.partition,
            routing_key: routing_key(&first.message.contract, first.partition),
            properties: wire::bundle_properties(&bundle, first),
            messages: bundle.messages as u64,
            body: bundle.body,
        }
    }
}

impl Lines {
    pub(crate) fn new(shared: &Shared) -> Self {
        Self {
            slot: Mutex::new(Slot {
                line: None,
                opening: None,
                backoff: Backoff::new(shared.settings.backoff_base, shared.settings.backoff_max),
            }),
        }
    }

    /// Publishes and waits for the confirmation, both within the bound.
    pub(crate) async fn publish(
        &self,
        shared: &Arc<Shared>,
        sending: &Sending,
    ) -> Result<(), PublishError> {
        let begun = Instant::now();
        let bound = shared.settings.publish_timeout;
        match timeout(bound, self.send(shared, sending)).await {
            Ok(sent) => sent,
            Err(_late) => {
                self.distrust(begun).await;
                let text = format!("RabbitMQ did not confirm within {bound:?}");
                Err(BrokerError(text).into())
            }
        }
    }

    /// What the store is known by.
    pub(crate) async fn store_id(&self, shared: &Arc<Shared>) -> Result<String, BrokerError> {
        let bound = shared.settings.connect_timeout;
        let late = |_| BrokerError(format!("RabbitMQ did not answer within {bound:?}"));
        let line = timeout(bound, self.line(shared)).await.map_err(late)??;
        Ok(line.store.id())
    }

    async fn send(&self, shared: &Arc<Shared>, sending: &Sending) -> Result<(), PublishError> {
        let line = self.line(shared).await?;
        let lane = line.lanes.get(usize::from(sending.partition));
        let none = || BrokerError(format!("there is no partition {}", sending.partition));
        let mut channel = lane.ok_or_else(none)?.lock().await;
        if !channel.status().connected() {
            // Something on it was refused, such as an exchange that somebody has deleted.
            topology::declare_shared(&line.connection, &shared.settings).await?;
            *channel = confirming(&line.connection).await?;
        }
        if line.store.changed() {
            return Err(changed().into());
        }
        // Not mandatory: a group that has no queue yet changes the store's id when it makes one.
        let published = channel.basic_publish(
            Names::new(&shared.settings).messages().into(),
            sending.routing_key.as_str().into(),
            BasicPublishOptions::default(),
            &sending.body,
            sending.properties.clone(),
        );
        let confirmation = published.await.map_err(unavailable)?;
        match confirmation.await.map_err(not_confirmed)? {
            Confirmation::Ack(_) => Ok(()),
            // Each queue decides by itself: the others have it.
            _ => Err(PublishError::Overflow("a queue of RabbitMQ is full".into())),
        }
    }

    /// The connection, made anew where there is none.
    async fn line(&self, shared: &Arc<Shared>) -> Result<Arc<Line>, BrokerError> {
        let mut slot = self.slot.lock().await;
        if let Some(line) = &slot.line
            && line.is_alive()
        {
            return Ok(Arc::clone(line));
        }
        slot.line = None;
        if slot.opening.is_none() {
            slot.backoff.wait().await;
        }
        let shared = Arc::clone(shared);
        let opening = slot.opening.get_or_insert_with(|| {
            let bound = shared.settings.connect_timeout * 2;
            let late = move |_| BrokerError(format!("RabbitMQ did not answer within {bound:?}"));
            task::spawn("rabbitmq-connect", async move {
                timeout(bound, Line::open(&shared)).await.map_err(late)?
            })
        });
        let opened = opening.await;
        slot.opening = None;
        let failed = |error: TaskFailed| BrokerError(error.to_string());
        match opened.map_err(failed).and_then(|opened| opened) {
            Ok(line) => {
                slot.backoff.succeeded();
                let line = slot.line.insert(Arc::new(line));
                Ok(Arc::clone(line))
            }
            Err(error) => {
                slot.backoff.failed();
                Err(error)
            }
        }
    }

    /// A connection that was there before `begun` and did not answer since may be half open.
    async fn distrust(&self, begun: Instant) {
        let mut slot = self.slot.lock().await;
        if slot.line.as_ref().is_some_and(|line| line.since <= begun) {
            slot.line = None;
        }
    }
}

/// Said once, so that a relay looks at the store at once.
fn changed() -> BrokerError {
    BrokerError("RabbitMQ's store has changed: a queue was created".into())
}

impl Line {
    fn is_alive(&self) -> bool {
        self.connection.status().connected() && self.store.is_alive()
    }

    async fn open(shared: &Shared) -> Result<Self, BrokerError> {
        let since = Instant::now();
        let settings = &shared.settings;
        let connection = shared.dialer.dial("publisher").await?;
        shared.metrics.connects.inc();
        topology::declare_shared(&connection, settings).await?;
        let store = Names::new(settings).store();
        let lanes = try_join_all((0..PARTITIONS).map(|_| confirming(&connection)));
        let (store, lanes) = try_join(StoreWatch::open(&connection, &store), lanes).await?;
        Ok(Self {
            store,
            lanes: lanes.into_iter().map(Mutex::new).collect(),
            since,
            connection,
        })
    }
}

/// A message that the broker takes never ends its channel with `PRECONDITION_FAILED`, which says why.
fn not_confirmed(error: lapin::Error) -> PublishError {
    if topology::is_amqp(&error, PRECONDITION_FAILED) {
        return PublishError::Refused(unavailable(error).0);
    }
    unavailable(error).into()
}
