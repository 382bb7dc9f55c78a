//! What the broker's store is known by: the last of the ids in a stream of its own.
//!
//! A wiped broker has no stream, so whoever meets it first gives it a new id. So does a member that had to create a
//! queue of its group: what the queue should hold is not in it, whether the group is new, the queue was deleted, or its
//! broker lost it. A publisher that sees the id change fails once, so that its relay looks and announces again.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, Consumer};
use parking_lot::Mutex;
use stanchion_messaging::BrokerError;
use stanchion_runtime::id;
use stanchion_runtime::task::{self, Task};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::connect::{confirming, unavailable};

/// A store without an id for so long is given one: who created it did not live to do so.
const FIRST_ID_WITHIN: Duration = Duration::from_secs(5);

/// Ids written at the same time come in one piece; the last one counts.
const SETTLES_WITHIN: Duration = Duration::from_millis(50);

/// Ids on their way to a reader.
const PREFETCH: u16 = 16;

/// Follows the id of a connection's store.
pub(crate) struct StoreWatch {
    /// What a publisher was told last.
    told: Mutex<String>,
    now: watch::Receiver<String>,
    following: Task<()>,
}

impl StoreWatch {
    pub(crate) async fn open(connection: &Connection, name: &str) -> Result<Self, BrokerError> {
        let channel = connection.create_channel().await.map_err(unavailable)?;
        let mut ids = consume(&channel, name).await?;
        let first = match timeout(FIRST_ID_WITHIN, next(&mut ids)).await {
            Ok(id) => id?,
            Err(_none) => {
                renew(connection, name).await?;
                next(&mut ids).await?
            }
        };
        let first = settled(&mut ids, first).await?;
        let (sender, now) = watch::channel(first.clone());
        let following = task::spawn("rabbitmq-store", async move {
            let _open = channel;
            while let Ok(id) = next(&mut ids).await {
                sender.send_replace(id);
            }
        });
        Ok(Self {
            told: Mutex::new(first),
            now,
            following,
        })
    }

    /// The id as it is now.
    pub(crate) fn id(&self) -> String {
        self.now.borrow().clone()
    }

    /// Whether it is another one than this said before.
    pub(crate) fn changed(&self) -> bool {
        let now = self.now.borrow();
        let mut told = self.told.lock();
        let changed = *told != *now;
        told.clone_from(&now);
        changed
    }

    /// False once the ids ended: their stream was deleted, or the connection is lost.
    pub(crate) fn is_alive(&self) -> bool {
        !self.following.is_finished()
    }
}

impl Drop for StoreWatch {
    fn drop(&mut self) {
        self.following.abort();
    }
}

/// Gives the store another id.
pub(crate) async fn renew(connection: &Connection, name: &str) -> Result<(), BrokerError> {
    let channel = confirming(connection).await?;
    let id = id::new_v7().to_string();
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let published =
        channel.basic_publish("".into(), name.into(), options, id.as_bytes(), properties);
    let confirmation = published.await.map_err(unavailable)?;
    let confirmation = confirmation.await.map_err(unavailable)?;
    let refused = || BrokerError("RabbitMQ: the store's id was refused".into());
    confirmation.is_ack().then_some(()).ok_or_else(refused)
}

async fn consume(channel: &Channel, name: &str) -> Result<Consumer, BrokerError> {
    let qos = channel.basic_qos(PREFETCH, BasicQosOptions::default());
    qos.await.map_err(unavailable)?;
    let mut arguments = FieldTable::default();
    let last = AMQPValue::LongString("last".into());
    arguments.insert("x-stream-offset".into(), last);
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(name.into(), "".into(), options, arguments);
    consumer.await.map_err(unavailable)
}

async fn next(ids: &mut Consumer) -> Result<String, BrokerError> {
    let ended = || BrokerError("RabbitMQ: the store's ids ended".into());
    let delivery = ids.next().await.ok_or_else(ended)?.map_err(unavailable)?;
    let acknowledged = delivery.acker.ack(BasicAckOptions::default());
    acknowledged.await.map_err(unavailable)?;
    Ok(String::from_utf8_lossy(&delivery.data).into_owned())
}

async fn settled(ids: &mut Consumer, mut id: String) -> Result<String, BrokerError> {
    while let Ok(later) = timeout(SETTLES_WITHIN, next(ids)).await {
        id = later?;
    }
    Ok(id)
}
