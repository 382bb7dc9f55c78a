//! A context's feed without its log: the messages that a test names.

use async_trait::async_trait;
use parking_lot::Mutex;
use stanchion_messaging::{BrokerError, Feed, FeedPage, LogId, Message, Place, Position};
use tokio::sync::watch;

/// Messages in the order of their positions, to which a test adds.
pub struct ListedFeed {
    name: String,
    log: LogId,
    messages: Mutex<Vec<Message>>,
    head: watch::Sender<Position>,
}

impl ListedFeed {
    /// Of the context of that name, without messages.
    #[must_use]
    pub fn new(name: &str, log: LogId) -> Self {
        Self {
            name: name.to_owned(),
            log,
            messages: Mutex::default(),
            head: watch::Sender::new(Position::START),
        }
    }

    /// Adds one behind the others.
    pub fn push(&self, message: Message) {
        let position = message.origin.position;
        self.messages.lock().push(message);
        self.head.send_replace(position);
    }
}

#[async_trait]
impl Feed for ListedFeed {
    fn name(&self) -> &str {
        &self.name
    }

    fn log_id(&self) -> LogId {
        self.log
    }

    async fn read(&self, after: Place, limit: usize) -> Result<FeedPage, BrokerError> {
        let messages = self.messages.lock();
        let later = messages.iter();
        let later = later.filter(|it| it.origin.position > after.position);
        let messages: Vec<Message> = later.take(limit).cloned().collect();
        let through = messages.last().map_or(after, |last| Place {
            position: last.origin.position,
            event: Some(last.id),
        });
        Ok(FeedPage { messages, through })
    }

    fn changes(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }
}
