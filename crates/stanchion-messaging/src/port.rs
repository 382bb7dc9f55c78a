use std::collections::HashMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

use crate::contract::family;
use crate::{LogId, Message, Place, Position};

/// Over so many partitions a broker's messages are spread by their keys. Brokers keep it in what they store: it is the
/// same for ever.
pub const PARTITIONS: u16 = 16;

/// The partition of a key: FNV-1a of its bytes (64 bits), modulo [`PARTITIONS`]; the same in every version and language.
#[must_use]
pub fn partition_of(key: &str) -> u16 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let hash = key.bytes().fold(OFFSET, step);
    (hash % u64::from(PARTITIONS)) as u16
}

/// A message on its way through a broker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// The message.
    pub message: Message,
    /// That of its key: one publisher sends a partition's messages one after the other, one member of a group takes them.
    pub partition: u16,
    /// The position announced before this one in the partition of that log, among the contracts of its
    /// [family](crate::contract::family), [`Position::START`] for the first: who has not seen it has missed something.
    /// Position and `prev` are equal in a relay's beacon, which is nobody's message and tells what was announced last. A
    /// message whose position is [`Position::START`] follows nothing; `prev` says then where it was announced before, if it
    /// was.
    pub prev: Position,
    /// What the broker may tell repeats by: the message's id when it is first announced, a new one for each redrive,
    /// which must not be taken for a repeat.
    pub transport: Uuid,
}

/// Takes messages to a broker.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Hands over one message; returns once the broker has confirmed it. Callers keep the order of a partition by waiting
    /// for one before the next. Survives a crash: what the broker promises, which is less than a log does; the log can
    /// announce it again. May repeat: a message whose confirmation was lost.
    ///
    /// # Errors
    /// [`PublishError::Unavailable`]: not confirmed within the adapter's bound, it may have arrived nevertheless. The others
    /// are answers: trying again changes nothing.
    async fn publish(&self, envelope: &Envelope) -> Result<(), PublishError>;

    /// Hands over messages of one partition, in their order; returns once the broker has confirmed all of them. An adapter
    /// may hand them over as a [`Bundle`](crate::Bundle), and must not let a later one arrive without the earlier ones.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), of any of them: the first ones may have arrived nevertheless, and all are handed over
    /// again.
    async fn publish_all(&self, envelopes: &[Envelope]) -> Result<(), PublishError> {
        for envelope in envelopes {
            self.publish(envelope).await?;
        }
        Ok(())
    }

    /// What the broker's store is known by. Another one than before: it lost what it had, and everything that somebody
    /// may still wait for is announced again.
    ///
    /// # Errors
    /// The broker does not answer.
    async fn store_id(&self) -> Result<String, BrokerError>;
}

/// The broker or a feed could not be reached; trying again later may help.
#[derive(Debug, thiserror::Error)]
#[error("the broker is unavailable: {0}")]
pub struct BrokerError(pub String);

/// Why a message was not published, or not to all.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It was not confirmed; trying again later may help.
    #[error(transparent)]
    Unavailable(#[from] BrokerError),
    /// The broker takes no such message, however often it is tried: it is larger than its bound, or none at all.
    #[error("the broker takes no such message: {0}")]
    Refused(String),
    /// Who had room for it has it; a group whose queue is full has not, and finds a hole there: see [`Envelope::prev`].
    #[error("a group has no room for it: {0}")]
    Overflow(String),
}

/// A stretch of what a context announces.
#[derive(Clone, Debug, Default)]
pub struct FeedPage {
    /// The messages, in the order of the log.
    pub messages: Vec<Message>,
    /// The log was looked through up to here, whether or not entries became messages.
    pub through: Place,
}

/// What a context announces, read from its log: durable, ordered, as often as wanted.
#[async_trait]
pub trait Feed: Send + Sync {
    /// The announcing context.
    fn name(&self) -> &str;

    /// The log under it.
    fn log_id(&self) -> LogId;

    /// Messages made of the entries after `after`, of at most `limit` entries.
    ///
    /// # Errors
    /// The log cannot be read, or it has gone back: at that place it has another event, or none. That is no end of the
    /// feed: who went on from there would skip what was written since.
    async fn read(&self, after: Place, limit: usize) -> Result<FeedPage, BrokerError>;

    /// Changes when the log grew: a hint, correctness never depends on it.
    fn changes(&self) -> watch::Receiver<Position>;
}

/// Who subscribes, to what, from where.
#[derive(Clone, Debug)]
pub struct Group {
    /// The consumer's name: members with the same name share the work.
    pub name: String,
    /// The contracts it takes, each in every version: see [`Group::wants`].
    pub contracts: Vec<&'static str>,
    /// How far it came in each log; a log that is not named is read from its start.
    pub progress: HashMap<LogId, Place>,
}

impl Group {
    /// Whether it is given messages of that contract: those of its contracts' families, whatever the version. A version
    /// that the consumer does not know yet is put aside by it and handled after its upgrade.
    #[must_use]
    pub fn wants(&self, contract: &str) -> bool {
        let wanted = family(contract);
        self.contracts.iter().any(|name| family(name) == wanted)
    }
}

/// One step of a subscription.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Messages in order; they may be empty when entries of a log were none of the group's.
    pub messages: Vec<Message>,
    /// What to do once all of them are dealt with.
    pub progress: Progress,
}

/// How a group's progress is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// In the consumer's own store: the messages were read from the log itself.
    Place {
        /// The log they come from.
        log: LogId,
        /// Where the group is in it then.
        through: Place,
    },
    /// By the broker, which is told by [`Subscription::acknowledge`].
    Receipt {
        /// Which delivery.
        receipt: Receipt,
        /// Each message's place among those of its partition and family: as many as messages, in their order.
        links: Vec<Link>,
    },
}

/// A delivery of a broker, known within its subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt(pub u64);

/// A message's place among those of its partition and contract family of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The log.
    pub log: LogId,
    /// The partition.
    pub partition: u16,
    /// The position announced before it there: [`Envelope::prev`].
    pub prev: Position,
    /// Its own.
    pub position: Position,
}

/// A consumer group's stream of deliveries. Dropped, it gives back what is not acknowledged: it is delivered again.
#[async_trait]
pub trait Subscription: Send {
    /// Waits for the next delivery. Cancel-safe: a cancelled call loses nothing.
    async fn next(&mut self) -> Result<Delivery, BrokerError>;

    /// Everything of that delivery is dealt with: handled, or put aside in rows. A broker that hears it delivers it to nobody
    /// any more; an adapter may not wait until it has heard, and what is lost on the way is delivered again. Where the
    /// consumer's store keeps the progress there is nothing to do.
    ///
    /// # Errors
    /// The broker cannot be told: it will be delivered again.
    async fn acknowledge(&mut self, receipt: Receipt) -> Result<(), BrokerError> {
        let _nothing_to_do = receipt;
        Ok(())
    }

    /// The same of several deliveries; an adapter may tell the broker of all of them at once.
    ///
    /// # Errors
    /// The broker cannot be told: those that it has not heard of will be delivered again.
    async fn acknowledge_all(&mut self, receipts: &[Receipt]) -> Result<(), BrokerError> {
        for receipt in receipts {
            self.acknowledge(*receipt).await?;
        }
        Ok(())
    }

    /// A number of this member's time with a partition, as of the last delivery: another one than before where somebody else
    /// may have been given messages of it since the delivery before that one. `None`: that is not known.
    ///
    /// Within a tenure all messages of the partition came to this member, in their order, and those before it had been
    /// acknowledged or came to this member as well.
    fn tenure(&self, partition: u16) -> Option<u64> {
        let _is_not_known = partition;
        None
    }

    /// Whether what the last delivery has of that partition was delivered so often that its handling must be what ends its
    /// members: it is put aside without another attempt, unless this consumer was interrupted before and its process went on:
    /// then such deliveries are counted as well. `false` where the broker sees to such messages itself.
    fn gives_up(&self, partition: u16) -> bool {
        let _the_broker_sees_to_it = partition;
        false
    }

    /// Nothing more will be taken, [`next`](Self::next) is not called any more, and what is in hand is finished: what comes now
    /// is for other members, who need not wait until this one is gone.
    fn takes_no_more(&mut self) {}

    /// It is still worked on: a broker that would give it to somebody else after a while waits anew.
    ///
    /// # Errors
    /// The broker does not answer.
    async fn extend(&mut self, receipt: Receipt) -> Result<(), BrokerError> {
        let _nothing_to_do = receipt;
        Ok(())
    }

    /// The same of several deliveries; an adapter may tell the broker of all of them at once.
    ///
    /// # Errors
    /// The broker does not answer: it may have heard of some.
    async fn extend_all(&mut self, receipts: &[Receipt]) -> Result<(), BrokerError> {
        for receipt in receipts {
            self.extend(*receipt).await?;
        }
        Ok(())
    }
}

/// Hands out what was announced, at least once and in order by key.
#[async_trait]
pub trait Subscriber: Send + Sync {
    /// Opens a group's subscription.
    async fn subscribe(&self, group: Group) -> Result<Box<dyn Subscription>, BrokerError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_wants_every_version_of_its_contracts() {
        let group = Group {
            name: "painter".into(),
            contracts: vec!["walls.painted.v1"],
            progress: HashMap::new(),
        };
        let wants = |name: &str| group.wants(name);
        assert!(wants("walls.painted.v1") && wants("walls.painted.v2"));
        assert!(!wants("walls.built.v1") && !wants("walls.painted_over.v1"));
    }

    #[test]
    fn a_key_is_in_the_same_partition_for_ever() {
        // FNV-1a's published vectors: "" is its offset, "a" af63dc4c8601ec8c, "foobar" 85944171f73967e8.
        let partitions = ["", "a", "foobar"].map(partition_of);
        assert_eq!(partitions, [0x5, 0xc, 0x8]);
    }
}
