//! What is declared at the broker, and with which bounds.
//!
//! | name | is |
//! |---|---|
//! | `PREFIX.messages` | direct exchange; the routing key is the partition |
//! | `PREFIX.GROUP.PARTITION` | quorum queue of a group, bound to its partition, one active consumer |
//! | `PREFIX.GROUP.members` | queue without messages, consumed by each member: that is how they are counted |
//! | `PREFIX.GROUP.complete` | queue without messages, there once all the group's queues are, and the store's id was renewed for them |
//! | `PREFIX.dead` | fanout exchange and quorum queue of what no member can take |
//! | `PREFIX.store` | stream with the ids that the store was known by; the last one counts |

use std::time::Duration;

use lapin::options::{
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind, Queue};
use stanchion_messaging::{BrokerError, PARTITIONS};

use crate::RabbitMqSettings;
use crate::connect::unavailable;
use crate::store;

/// Ids of the store that are kept: 1 MiB of some forty bytes each.
const STORE_BYTES_MAX: i64 = 1 << 20;

/// The names under one prefix.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
}

impl Names {
    pub(crate) fn new(settings: &RabbitMqSettings) -> Self {
        let prefix = settings.prefix.clone();
        Self { prefix }
    }

    pub(crate) fn messages(&self) -> String {
        format!("{}.messages", self.prefix)
    }

    pub(crate) fn dead(&self) -> String {
        format!("{}.dead", self.prefix)
    }

    pub(crate) fn store(&self) -> String {
        format!("{}.store", self.prefix)
    }

    pub(crate) fn members(&self, group: &str) -> String {
        format!("{}.{group}.members", self.prefix)
    }

    pub(crate) fn complete(&self, group: &str) -> String {
        format!("{}.{group}.complete", self.prefix)
    }

    pub(crate) fn queue(&self, group: &str, partition: u16) -> String {
        format!("{}.{group}.{partition:02}", self.prefix)
    }
}

/// Declares what a publisher needs: exchanges, the dead letters' queue, the store's stream.
pub(crate) async fn declare_shared(
    connection: &Connection,
    settings: &RabbitMqSettings,
) -> Result<(), BrokerError> {
    let names = Names::new(settings);
    let channel = connection.create_channel().await.map_err(unavailable)?;
    for (name, kind) in [
        (names.messages(), ExchangeKind::Direct),
        (names.dead(), ExchangeKind::Fanout),
    ] {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let declared = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
        declared.await.map_err(unavailable)?;
    }
    let bounded = declare(connection, &names.dead(), dead(settings)).await?;
    bind(&channel, bounded, &names.dead(), "").await?;
    declare_store(connection, &names).await
}

/// Whoever creates the store gives it its first id.
async fn declare_store(connection: &Connection, names: &Names) -> Result<(), BrokerError> {
    let looking = connection.create_channel().await.map_err(unavailable)?;
    if look(&looking, &names.store()).await?.is_none() {
        declare(connection, &names.store(), store_arguments()).await?;
        store::renew(connection, &names.store()).await?;
    }
    Ok(())
}

/// Declares a group's queues and binds each, also one that was there: who declared it may have died before binding it.
///
/// What a new queue should hold is not in it, so the store gets another id. The mark is there only once that is done:
/// whoever begins may be cancelled or die, and the next one goes on.
pub(crate) async fn declare_group(
    connection: &Connection,
    settings: &RabbitMqSettings,
    group: &str,
) -> Result<(), BrokerError> {
    let names = Names::new(settings);
    let mark = names.complete(group);
    let mut channel = connection.create_channel().await.map_err(unavailable)?;
    let mut complete = look(&channel, &mark).await?.is_some();
    if !complete {
        // The broker closes a channel on which something was missing.
        channel = connection.create_channel().await.map_err(unavailable)?;
    }
    for partition in 0..PARTITIONS {
        let name = names.queue(group, partition);
        let found = look(&channel, &name).await?;
        let queue = match found {
            Some(queue) => queue,
            None => {
                channel = connection.create_channel().await.map_err(unavailable)?;
                if std::mem::take(&mut complete) {
                    unmark(&channel, &mark).await?;
                }
                declare(connection, &name, group_queue(settings, &names)).await?
            }
        };
        let key = partition.to_string();
        bind(&channel, queue, &names.messages(), &key).await?;
    }
    if !complete {
        store::renew(connection, &names.store()).await?;
        declare(connection, &mark, quorum()).await?;
    }
    Ok(())
}

async fn unmark(channel: &Channel, mark: &str) -> Result<(), BrokerError> {
    let deleted = channel.queue_delete(mark.into(), QueueDeleteOptions::default());
    deleted.await.map(drop).map_err(unavailable)
}

/// The queue of that name, if it is there. If not, the channel is closed.
pub(crate) async fn look(channel: &Channel, name: &str) -> Result<Option<Queue>, BrokerError> {
    let options = QueueDeclareOptions::durable().passive();
    let looked = channel.queue_declare(name.into(), options, FieldTable::default());
    match looked.await {
        Ok(queue) => Ok(Some(queue)),
        Err(error) if is_amqp(&error, 404) => Ok(None),
        Err(error) => Err(unavailable(error)),
    }
}

/// Declares a queue. One that is there with other bounds stays as it is: to change them is the operator's work.
async fn declare(
    connection: &Connection,
    name: &str,
    arguments: FieldTable,
) -> Result<Queue, BrokerError> {
    let channel = connection.create_channel().await.map_err(unavailable)?;
    let options = QueueDeclareOptions::durable();
    match channel.queue_declare(name.into(), options, arguments).await {
        Ok(queue) => Ok(queue),
        Err(error) if is_amqp(&error, 406) => {
            tracing::warn!(queue = name, %error, "a queue keeps the bounds it was declared with");
            let channel = connection.create_channel().await.map_err(unavailable)?;
            let gone = || BrokerError(format!("the queue {name} has just been deleted"));
            look(&channel, name).await?.ok_or_else(gone)
        }
        Err(error) => Err(unavailable(error)),
    }
}

async fn bind(
    channel: &Channel,
    queue: Queue,
    exchange: &str,
    key: &str,
) -> Result<(), BrokerError> {
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    let name = queue.name().clone();
    let bound = channel.queue_bind(name, exchange.into(), key.into(), options, none);
    bound.await.map_err(unavailable)
}

pub(crate) fn is_amqp(error: &lapin::Error, code: u16) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == code)
}

/// Nothing is dropped to make room: what does not fit is refused by this queue alone, and its group asks for it when it
/// comes to the hole. That also lets dead letters move without loss.
fn group_queue(settings: &RabbitMqSettings, names: &Names) -> FieldTable {
    let mut arguments = quorum();
    let bytes = i64::try_from(settings.queue_bytes_max.as_usize()).unwrap_or(i64::MAX);
    let bounds = [
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ("x-delivery-limit", long(settings.deliveries_max)),
        ("x-max-length", long(settings.queue_messages_max)),
        ("x-max-length-bytes", AMQPValue::LongLongInt(bytes)),
        ("x-overflow", text("reject-publish")),
        ("x-dead-letter-exchange", text(&names.dead())),
        ("x-dead-letter-strategy", text("at-least-once")),
    ];
    for (name, value) in bounds {
        arguments.insert(name.into(), value);
    }
    if let Some(age) = settings.queue_age_max {
        let age = AMQPValue::LongLongInt(millis(age));
        arguments.insert("x-message-ttl".into(), age);
    }
    arguments
}

fn dead(settings: &RabbitMqSettings) -> FieldTable {
    let mut arguments = quorum();
    arguments.insert("x-max-length".into(), long(settings.dead_letters_max));
    arguments.insert("x-overflow".into(), text("drop-head"));
    arguments
}

fn store_arguments() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("stream"));
    let bytes = AMQPValue::LongLongInt(STORE_BYTES_MAX);
    arguments.insert("x-max-length-bytes".into(), bytes);
    arguments
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn long(number: u32) -> AMQPValue {
    AMQPValue::LongLongInt(i64::from(number))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
