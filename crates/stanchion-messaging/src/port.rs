use std::collections::HashMap;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{LogId, Message, Place, Position};

/// The broker or a feed could not be reached; trying again later may help.
#[derive(Debug, thiserror::Error)]
#[error("the broker is unavailable: {0}")]
pub struct BrokerError(pub String);

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
    /// The contracts it takes.
    pub contracts: Vec<&'static str>,
    /// How far it came in each log; a log that is not named is read from its start.
    pub progress: HashMap<LogId, Place>,
}

/// One step of a subscription.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The log it comes from.
    pub log: LogId,
    /// Messages in order; they may be empty when entries of the log were none of the group's.
    pub messages: Vec<Message>,
    /// Once all of them are dealt with, the group's progress in that log.
    pub through: Place,
}

/// A consumer group's stream of deliveries.
#[async_trait]
pub trait Subscription: Send {
    /// Waits for the next delivery. Cancel-safe: a cancelled call loses nothing.
    async fn next(&mut self) -> Result<Delivery, BrokerError>;
}

/// Hands out what was announced, at least once and in order by key.
#[async_trait]
pub trait Subscriber: Send + Sync {
    /// Opens a group's subscription.
    async fn subscribe(&self, group: Group) -> Result<Box<dyn Subscription>, BrokerError>;
}
