use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::select_all;
use parking_lot::RwLock;
use stanchion_runtime::task::{self, Task};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::warn;

use crate::size::PageSize;
use crate::{
    BrokerError, Delivery, Feed, FeedPage, Group, LogId, Place, Position, Progress, Subscriber,
    Subscription,
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
            looked: 0,
            failed: None,
        }))
    }
}

struct Cursor {
    feed: Arc<dyn Feed>,
    log: LogId,
    at: Place,
    changes: watch::Receiver<Position>,
    page: PageSize,
    /// A read under way, which goes on by itself whatever interrupts the wait for it. Begun anew at each wait it would end
    /// only where nothing else happens for so long, and a store would be asked again and again for what nobody hears.
    reading: Option<Task<Result<FeedPage, BrokerError>>>,
    /// It had nothing new, and is not read before then unless it says that it has.
    dry_until: Instant,
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
            reading: None,
            feed: Arc::clone(feed),
            log,
            dry_until: Instant::now(),
            rests_until: Instant::now(),
            said_at: None,
        }
    }

    /// Whether to read it, or to go on with that.
    fn is_due(&self, now: Instant) -> bool {
        let grew = self.changes.has_changed().unwrap_or(false);
        self.reading.is_some() || self.rests_until <= now && (grew || self.dry_until <= now)
    }

    /// What comes next, by the read that is under way if there is one. Cancel-safe.
    async fn read(&mut self) -> Result<FeedPage, BrokerError> {
        if self.reading.is_none() {
            self.changes.borrow_and_update();
            let (feed, at, entries) = (Arc::clone(&self.feed), self.at, self.page.entries());
            let mut read = Box::pin(async move { feed.read(at, entries).await });
            // What a log has in memory is there at once.
            if let Some(page) = read.as_mut().now_or_never() {
                return page;
            }
            self.reading = Some(task::spawn("feed-read", read));
        }
        let Some(reading) = &mut self.reading else {
            return Err(BrokerError("no read is under way".into()));
        };
        let page = reading.await;
        self.reading = None;
        page.unwrap_or_else(|failed| Err(BrokerError(failed.to_string())))
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

impl Drop for Cursor {
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
    }
}

struct MemorySubscription {
    group: Group,
    cursors: Vec<Cursor>,
    /// The feed that this round of looks began with, and how many of them were looked at in it.
    turn: usize,
    looked: usize,
    /// Why the first one could not be read that could not in this round.
    failed: Option<BrokerError>,
}

impl MemorySubscription {
    /// Looks at every feed once, starting after the one that was served last, so that none starves. Fails where none can be
    /// read: whoever has another goes on with that. Cancel-safe: the next call goes on with the feed that this one was at.
    async fn poll(&mut self) -> Result<Option<Delivery>, BrokerError> {
        let now = Instant::now();
        while self.looked < self.cursors.len() {
            let index = (self.turn + self.looked) % self.cursors.len();
            let cursor = &mut self.cursors[index];
            if !cursor.is_due(now) {
                self.looked += 1;
                continue;
            }
            let page = match cursor.read().await {
                Ok(page) if page.through.position > cursor.at.position => page,
                Ok(_nothing_new) => {
                    cursor.dry_until = Instant::now() + POLL;
                    self.looked += 1;
                    continue;
                }
                Err(error) => {
                    cursor.rest(&error);
                    self.failed.get_or_insert(error);
                    self.looked += 1;
                    continue;
                }
            };
            cursor.at = page.through;
            cursor.page.read(&page);
            (self.turn, self.looked, self.failed) = (index + 1, 0, None);
            let (log, through) = (cursor.log, page.through);
            let messages = page.messages.into_iter();
            return Ok(Some(Delivery {
                messages: messages.filter(|m| self.group.wants(&m.contract)).collect(),
                progress: Progress::Place { log, through },
            }));
        }
        self.looked = 0;
        let rests = |cursor: &Cursor| cursor.rests_until > now;
        match self.failed.take() {
            Some(error) if self.cursors.iter().all(rests) => Err(error),
            _ => Ok(None),
        }
    }

    /// Waits until a feed says that it grew, or one is to be looked at again. Cancel-safe.
    async fn wait(&mut self) {
        let looks = self.cursors.iter();
        let looks = looks.map(|cursor| cursor.dry_until.max(cursor.rests_until));
        let look = looks.min().unwrap_or_else(|| Instant::now() + POLL);
        let changed = self
            .cursors
            .iter_mut()
            .map(|cursor| Box::pin(cursor.changes.changed()));
        let changed: Vec<_> = changed.collect();
        if changed.is_empty() {
            return sleep_until(look).await;
        }
        let (grew, index) = match timeout_at(look, select_all(changed)).await {
            Ok((grew, index, _others)) => (grew.is_ok(), index),
            Err(_elapsed) => return,
        };
        if grew {
            self.cursors[index].dry_until = Instant::now();
        } else {
            // A feed whose sender is gone answers at once.
            sleep_until(look).await;
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
