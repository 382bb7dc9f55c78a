//! What is declared at the broker, and with which bounds.
//!
//! | name | is |
//! |---|---|
//! | `PREFIX.messages` | direct exchange; the routing key is the partition, of relays' own messages `stanchion.PARTITION` |
//! | `PREFIX.GROUP.PARTITION` | quorum queue of a group, bound to its partition, one active consumer; a relay has one for all |
//! | `PREFIX.GROUP.members` | queue without messages, consumed by each member: that is how they are counted |
//! | `PREFIX.GROUP.complete` | queue without messages, there once all the group's queues are, and the store's id was renewed for them |
//! | `PREFIX.dead` | fanout exchange and quorum queue of what no member can take |
//! | `PREFIX.GROUP.declaring` | queue of whoever's turn it is to declare the group's, or `shared`: what all share |
//! | `PREFIX.store` | stream with the ids that the store was known by; the last one counts |

mod arguments;
mod group;
mod names;
mod turn;

use futures_util::FutureExt;
use futures_util::future::{try_join, try_join_all};
use lapin::options::{
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ErrorKind, ExchangeKind, Queue};
use stanchion_messaging::{BrokerError, PARTITIONS};

use self::arguments::{dead, group_queue, quorum, store_arguments};
pub(crate) use self::group::{GroupKind, is_relays, routing_key};
pub(crate) use self::names::Names;
use self::turn::Turn;
use crate::RabbitMqSettings;
use crate::connect::unavailable;
use crate::store;

/// In the place of a group, what all of them share.
const SHARED: &str = "shared";

/// What AMQP says when nothing is wrong.
pub(crate) const REPLY_SUCCESS: u16 = 200;

/// Declares what a publisher needs: exchanges, the dead letters' queue, the store's stream.
pub(crate) async fn declare_shared(
    connection: &Connection,
    settings: &RabbitMqSettings,
) -> Result<(), BrokerError> {
    let names = Names::new(settings);
    let (messages, dead) = (names.messages(), names.dead());
    try_join(
        declare_exchange(connection, &messages, ExchangeKind::Direct),
        declare_exchange(connection, &dead, ExchangeKind::Fanout),
    )
    .await?;
    if is_there(connection, &names).await? {
        return bind_dead(connection, &names).await;
    }
    let turn = Turn::take(connection, names.declaring(SHARED)).await?;
    let declared = declare_missing(connection, settings, &names).await;
    // Also after a failure: the connection lives on, and nobody else would have a turn.
    turn.give(connection).await?;
    declared
}

async fn is_there(connection: &Connection, names: &Names) -> Result<bool, BrokerError> {
    let (dead, store) = (names.dead(), names.store());
    let found = try_join(look(connection, &dead), look(connection, &store)).await?;
    Ok(found.0.is_some() && found.1.is_some())
}

async fn declare_missing(
    connection: &Connection,
    settings: &RabbitMqSettings,
    names: &Names,
) -> Result<(), BrokerError> {
    declare(connection, &names.dead(), dead(settings)).await?;
    bind_dead(connection, names).await?;
    declare_store(connection, names).await
}

async fn bind_dead(connection: &Connection, names: &Names) -> Result<(), BrokerError> {
    let binding = (names.dead(), String::new());
    bind_all(connection, &names.dead(), &[binding]).await
}

async fn declare_exchange(
    connection: &Connection,
    name: &str,
    kind: ExchangeKind,
) -> Result<(), BrokerError> {
    let channel = connection.create_channel().await.map_err(unavailable)?;
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let declared = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
    declared.await.map_err(unavailable)?;
    close(&channel);
    Ok(())
}

/// Whoever creates the store gives it its first id.
async fn declare_store(connection: &Connection, names: &Names) -> Result<(), BrokerError> {
    if look(connection, &names.store()).await?.is_none() {
        declare(connection, &names.store(), store_arguments()).await?;
        store::renew(connection, &names.store()).await?;
    }
    Ok(())
}

/// Declares a group's queues and binds each, also one that was there: who declared it may have died before binding it.
///
/// All at the same time, on channels of their own: a quorum queue takes the broker some round trips and writes to disk, of
/// which it does many at once. What a new queue should hold is not in it, so the store gets another id. The mark is there
/// only once that is done: whoever begins may be cancelled or die, and the next one goes on.
pub(crate) async fn declare_group(
    connection: &Connection,
    settings: &RabbitMqSettings,
    kind: &GroupKind,
) -> Result<(), BrokerError> {
    let names = Names::new(settings);
    let known = Known::look(connection, &names, kind).await?;
    if known.missing.is_empty() {
        return bind_group(connection, &names, kind).await;
    }
    let turn = Turn::take(connection, names.declaring(&kind.name)).await?;
    let declared = declare_rest(connection, settings, &names, kind).await;
    turn.give(connection).await?;
    declared
}

async fn declare_rest(
    connection: &Connection,
    settings: &RabbitMqSettings,
    names: &Names,
    kind: &GroupKind,
) -> Result<(), BrokerError> {
    // Another member may have had its turn.
    let known = Known::look(connection, names, kind).await?;
    let mark = names.complete(&kind.name);
    if known.is_complete && !known.missing.is_empty() {
        delete(connection, &mark).await?;
    }
    let declaring = known.missing.iter();
    let declaring = declaring.map(|name| declare(connection, name, group_queue(settings, names)));
    try_join_all(declaring).await?;
    bind_group(connection, names, kind).await?;
    if !known.missing.is_empty() {
        store::renew(connection, &names.store()).await?;
        declare(connection, &mark, quorum()).await?;
    }
    Ok(())
}

/// What there is of a group.
struct Known {
    is_complete: bool,
    /// Queues to declare; all of them where the group is not complete.
    missing: Vec<String>,
}

impl Known {
    async fn look(
        connection: &Connection,
        names: &Names,
        kind: &GroupKind,
    ) -> Result<Self, BrokerError> {
        let complete = names.complete(&kind.name);
        let queues = (0..kind.queues()).map(|number| names.queue(&kind.name, number));
        let all: Vec<String> = queues.chain([complete.clone()]).collect();
        if are_there(connection, &all).await? {
            return Ok(Self {
                is_complete: true,
                missing: Vec::new(),
            });
        }
        let is_complete = look(connection, &complete).await?.is_some();
        let all = (0..kind.queues()).map(|number| names.queue(&kind.name, number));
        let looking = all.map(|name| async move {
            let found = is_complete && look(connection, &name).await?.is_some();
            Ok::<_, BrokerError>((!found).then_some(name))
        });
        let missing = try_join_all(looking).await?;
        Ok(Self {
            is_complete,
            missing: missing.into_iter().flatten().collect(),
        })
    }
}

async fn bind_group(
    connection: &Connection,
    names: &Names,
    kind: &GroupKind,
) -> Result<(), BrokerError> {
    let of_queue = |number| {
        let queue = names.queue(&kind.name, number);
        let keys = kind.keys(number).into_iter();
        keys.map(move |key| (queue.clone(), key))
    };
    let bindings: Vec<_> = (0..kind.queues()).flat_map(of_queue).collect();
    bind_all(connection, &names.messages(), &bindings).await?;
    if kind.is_relays {
        leave_partitions(connection, names, &kind.name).await?;
    }
    Ok(())
}

/// A relay's group of an earlier version has a queue a partition, which nobody reads any more.
async fn leave_partitions(
    connection: &Connection,
    names: &Names,
    group: &str,
) -> Result<(), BrokerError> {
    let last = names.queue(group, PARTITIONS - 1);
    if look(connection, &last).await?.is_none() {
        return Ok(());
    }
    let channel = connection.create_channel().await.map_err(unavailable)?;
    let (first, messages, none) = (
        names.queue(group, 0),
        names.messages(),
        FieldTable::default(),
    );
    let unbound = channel.queue_unbind(first.into(), messages.into(), "0".into(), none);
    unbound.await.map_err(unavailable)?;
    // The last one at last: it says whether there is anything to do.
    for partition in 1..PARTITIONS {
        delete(connection, &names.queue(group, partition)).await?;
    }
    Ok(())
}

async fn delete(connection: &Connection, queue: &str) -> Result<(), BrokerError> {
    let channel = connection.create_channel().await.map_err(unavailable)?;
    let deleted = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
    deleted.await.map_err(unavailable)?;
    close(&channel);
    Ok(())
}

/// The queue of that name, if it is there, on a channel of its own: the broker closes one on which something was missing.
pub(crate) async fn look(
    connection: &Connection,
    name: &str,
) -> Result<Option<Queue>, BrokerError> {
    let channel = connection.create_channel().await.map_err(unavailable)?;
    let options = QueueDeclareOptions::durable().passive();
    let looked = channel.queue_declare(name.into(), options, FieldTable::default());
    match looked.await {
        Ok(queue) => {
            close(&channel);
            Ok(Some(queue))
        }
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
        Ok(queue) => {
            close(&channel);
            Ok(queue)
        }
        Err(error) if is_amqp(&error, 406) => {
            tracing::warn!(queue = name, %error, "a queue keeps the bounds it was declared with");
            let gone = || BrokerError(format!("the queue {name} has just been deleted"));
            look(connection, name).await?.ok_or_else(gone)
        }
        Err(error) => Err(unavailable(error)),
    }
}

/// Each queue by its key, on one channel: the broker has all of them before it answers the first.
async fn bind_all(
    connection: &Connection,
    exchange: &str,
    bindings: &[(String, String)],
) -> Result<(), BrokerError> {
    let channel = connection.create_channel().await.map_err(unavailable)?;
    let binding = bindings.iter().map(|(queue, key)| {
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        let (queue, key) = (queue.as_str().into(), key.as_str().into());
        channel.queue_bind(queue, exchange.into(), key, options, none)
    });
    try_join_all(binding).await.map_err(unavailable)?;
    close(&channel);
    Ok(())
}

/// Whether all of these queues are there, as they nearly always are; asked for on one channel, which ends where one is not.
async fn are_there(connection: &Connection, queues: &[String]) -> Result<bool, BrokerError> {
    let channel = connection.create_channel().await.map_err(unavailable)?;
    let looking = queues.iter().map(|queue| {
        let options = QueueDeclareOptions::durable().passive();
        channel.queue_declare(queue.as_str().into(), options, FieldTable::default())
    });
    let found = try_join_all(looking).await;
    if found.is_ok() {
        close(&channel);
    }
    Ok(found.is_ok())
}

/// Sends it off without waiting.
fn close(channel: &Channel) {
    let _sent = channel.close(REPLY_SUCCESS, "OK".into()).now_or_never();
}

pub(crate) fn is_amqp(error: &lapin::Error, code: u16) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == code)
}
