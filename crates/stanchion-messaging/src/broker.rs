use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::select_all;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;

use crate::size::PageSize;
use crate::{
    BrokerError, Delivery, Feed, Group, LogId, Place, Position, Progress, Subscriber, Subscription,
};

/// How long a subscription trusts the feeds' hints before it looks by itself.
const POLL: Duration = Duration::from_millis(250);

/// How long a feed that could not be read is left alone.
const REST: Duration = Duration::from_millis(500);

/// How often it is said that a feed cannot be read.
const SAY: Duration = Duration::from_secs(10);

/// The broker within one process: hands every feed to every group, straight from the logs.
///
/// Nothing lives in memory only: a feed is read from its durable log, a group's progress is a row
/// of its own store, given when it subscribes. Delivery is at least once, in the order of each log.
#[derive(Default)]
pub struct MemoryBroker {
    feeds: RwLock<Vec<Arc<dyn Feed>>>,
}

impl MemoryBroker {
    /// A broker without feeds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what a context announces. Groups that subscribe later see it, whole.
    pub fn register(&self, feed: Arc<dyn Feed>) {
        self.feeds.write().push(feed);
    }
}

#[async_trait]
impl Subscriber for MemoryBroker {
    async fn subscribe(&self, group: Group) -> Result<Box<dyn Subscription>, BrokerError> {
        let cursors = self
            .feeds
            .read()
            .iter()
            .map(|feed| Cursor::new(feed, &group))
            .collect();
        Ok(Box::new(MemorySubscription {
            group,
            cursors,
            turn: 0,
        }))
    }
}

struct Cursor {
    feed: Arc<dyn Feed>,
    log: LogId,
    at: Place,
    changes: watch::Receiver<Position>,
    page: PageSize,
    /// It could not be read, and is not before then.
    rests_until: Instant,
    said_at: Option<Instant>,
}

impl Cursor {
    fn new(feed: &Arc<dyn Feed>, group: &Group) -> Self {
        let log = feed.log_id();
        Self {
            at: group.progress.get(&log).copied().unwrap_or(Place::START),
            changes: feed.changes(),
            page: PageSize::default(),
            feed: Arc::clone(feed),
            log,
            rests_until: Instant::now(),
            said_at: None,
        }
    }

    fn rest(&mut self, error: &BrokerError) {
        let now = Instant::now();
        self.rests_until = now + REST;
        if self.said_at.is_none_or(|said| now - said >= SAY) {
            self.said_at = Some(now);
            let feed = self.feed.name();
            warn!(feed, %error, "a feed cannot be read: its consumers stand still there, and go on with the others");
        }
    }
}

struct MemorySubscription {
    group: Group,
    cursors: Vec<Cursor>,
    turn: usize,
}

impl MemorySubscription {
    /// Looks at every feed once, starting after the one that was served last, so that none starves. Fails where none can be
    /// read: whoever has another goes on with that.
    async fn poll(&mut self) -> Result<Option<Delivery>, BrokerError> {
        let (now, mut failed) = (Instant::now(), None);
        for step in 0..self.cursors.len() {
            let index = (self.turn + step) % self.cursors.len();
            let cursor = &mut self.cursors[index];
            if cursor.rests_until > now {
                continue;
            }
            cursor.changes.borrow_and_update();
            let page = match cursor.feed.read(cursor.at, cursor.page.entries()).await {
                Ok(page) => page,
                Err(error) => {
                    cursor.rest(&error);
                    failed.get_or_insert(error);
                    continue;
                }
            };
            if page.through.position <= cursor.at.position {
                continue;
            }
            cursor.at = page.through;
            cursor.page.read(&page);
            self.turn = index + 1;
            let (log, through) = (cursor.log, page.through);
            let messages = page.messages.into_iter();
            return Ok(Some(Delivery {
                messages: messages.filter(|m| self.group.wants(&m.contract)).collect(),
                progress: Progress::Place { log, through },
            }));
        }
        let rests = |cursor: &Cursor| cursor.rests_until > now;
        match failed {
            Some(error) if self.cursors.iter().all(rests) => Err(error),
            _ => Ok(None),
        }
    }

    async fn wait(&mut self) {
        let changed = self
            .cursors
            .iter_mut()
            .map(|cursor| Box::pin(cursor.changes.changed()));
        let changed: Vec<_> = changed.collect();
        if changed.is_empty() {
            return tokio::time::sleep(POLL).await;
        }
        // A feed whose sender is gone answers at once; the poll interval still bounds the loop.
        let (first, _, _) = match tokio::time::timeout(POLL, select_all(changed)).await {
            Ok(first) => first,
            Err(_elapsed) => return,
        };
        if first.is_err() {
            tokio::time::sleep(POLL).await;
        }
    }
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        loop {
            if let Some(delivery) = self.poll().await? {
                return Ok(delivery);
            }
            self.wait().await;
        }
    }
}
