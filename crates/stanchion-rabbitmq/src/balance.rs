//! Sharing a group's partitions among its members.
//!
//! RabbitMQ sends a partition to whoever asked first and keeps the others waiting. So members count each other, and one
//! that is active on more than its share leaves the rest of them and asks again, behind those that wait. Whether a
//! member is active it learns from what it is sent: a message, or a probe that somebody sends after a change.

use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, Consumer};
use stanchion_messaging::{BrokerError, PARTITIONS};

use crate::connect::unavailable;
use crate::topology::look;

/// What a probe has for a type.
const PROBE: &str = "stanchion-probe";

/// A member among those of its group.
pub(crate) struct Membership {
    /// Dropped, it is not counted any more.
    _counted: Consumer,
    channel: Channel,
    seen: u32,
}

impl Membership {
    /// Joins: from now on it is counted, until its connection ends.
    pub(crate) async fn join(connection: &Connection, queue: String) -> Result<Self, BrokerError> {
        let channel = connection.create_channel().await.map_err(unavailable)?;
        let options = QueueDeclareOptions::durable().auto_delete();
        let declared = channel.queue_declare(queue.as_str().into(), options, FieldTable::default());
        declared.await.map_err(unavailable)?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(queue.as_str().into(), "".into(), options, none);
        Ok(Self {
            _counted: consumer.await.map_err(unavailable)?,
            channel,
            seen: 0,
        })
    }

    /// Whether that is another number of members than last time.
    pub(crate) fn saw(&mut self, members: u32) -> bool {
        std::mem::replace(&mut self.seen, members) != members
    }

    /// Who lets others know of a change.
    pub(crate) fn prober(&self) -> Prober {
        Prober(self.channel.clone())
    }
}

/// How many members of the group there are.
pub(crate) async fn count(connection: &Connection, queue: &str) -> Result<u32, BrokerError> {
    let queue = look(connection, queue).await?;
    Ok(queue.map_or(1, |queue| queue.consumer_count()).max(1))
}

/// Sends probes.
pub(crate) struct Prober(Channel);

impl Prober {
    /// Lets whoever is active on the queue know it.
    pub(crate) async fn probe(&self, queue: &str) -> Result<(), BrokerError> {
        let properties = BasicProperties::default().with_type(PROBE.into());
        let options = BasicPublishOptions::default();
        let sent = self
            .0
            .basic_publish("".into(), queue.into(), options, b"", properties);
        sent.await.map_err(unavailable)?;
        Ok(())
    }
}

pub(crate) fn is_probe(properties: &BasicProperties) -> bool {
    properties.kind().as_ref().map(ShortString::as_str) == Some(PROBE)
}

/// How many partitions a member leaves that is active on so many.
pub(crate) fn surplus(active: usize, members: u32) -> usize {
    let share = usize::from(PARTITIONS).div_ceil(members.max(1) as usize);
    active.saturating_sub(share)
}

#[cfg(test)]
mod tests {
    use super::surplus;

    #[test]
    fn a_member_leaves_what_is_more_than_its_share() {
        assert_eq!(surplus(16, 1), 0);
        assert_eq!(surplus(16, 2), 8);
        assert_eq!(surplus(8, 2), 0);
        assert_eq!(surplus(8, 3), 2);
        assert_eq!(surplus(3, 20), 2);
        assert_eq!(surplus(0, 20), 0);
    }
}
