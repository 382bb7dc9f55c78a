//! Following a log: checkpoints that are verified, pages that are fetched ahead, subscriptions, parallel replay.

mod checkpoint;
mod operate;
mod pages;
mod replay;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use stanchion_messaging::{HandlerError, StoreError};
use stanchion_runtime::task::panic_text;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{EventLog, Filter, LogError, Position, Recorded};

pub use checkpoint::{
    Checkpoint, CheckpointError, CheckpointStore, MemoryCheckpoints, own_checkpoint,
};
pub use pages::{Page, Pages};
pub use replay::{ReplayError, replay, split};

/// The fewest and the most entries handed over at once, unless said otherwise.
const PAGE_MIN: usize = 100;
const PAGE_MAX: usize = 1_000;

/// How long the log's hints are trusted before it is looked at in any case; how often a pause of another process is looked for.
const LOOK: Duration = Duration::from_secs(5);

/// The first and the longest wait after a failure; doubled each time.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

type Handling = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;
type Handle = Box<dyn Fn(Vec<Recorded>) -> Handling + Send + Sync>;

/// Hands a log's entries to a handler, in order and at least once, and remembers how far it came.
///
/// The checkpoint is saved after the handler has answered: after a crash the last page comes again. It holds the log's
/// identity and the event seen at its position; when the log under it is not the one it knows, the subscription stops
/// and says so. While the log does not grow nothing is asked of it; the next page is fetched while one is handled.
/// Where the effect is rows of the same database, take a [`Projection`](crate::Projection): it has exactly one effect.
///
/// Cheap to clone: every clone is a handle to the same subscription.
#[derive(Clone)]
pub struct Subscription {
    inner: Arc<Inner>,
}

struct Inner {
    name: &'static str,
    log: Arc<dyn EventLog>,
    checkpoints: Arc<dyn CheckpointStore>,
    filter: Filter,
    sizes: (usize, usize),
    handle: Handle,
    state: watch::Sender<SubscriptionState>,
    position: watch::Sender<Position>,
    /// As it is stored, as far as this process knows.
    paused: watch::Sender<bool>,
    /// Held while a checkpoint or a pause is saved; a rewind counts up, so that a page read before it is not saved after it.
    rewinds: Mutex<u64>,
}

/// What a subscription is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SubscriptionState {
    /// It is not being run.
    #[default]
    Stopped,
    /// It follows the log.
    Following,
    /// The log, the checkpoints or the handler failed; it tries again by itself.
    Waiting(String),
    /// An operator has paused it, in this process or in another one.
    Paused,
    /// The handler rejected an entry, or the log is not the one it knows; it goes on after a resume or a rewind.
    Halted(String),
}

/// Why following was interrupted.
enum Interrupted {
    Later(String),
    Halted(String),
}

impl Subscription {
    /// A subscription to the entries of `log` that pass `filter`. The name is part of its checkpoint: the same for ever.
    ///
    /// The handler gets pages of at most 1,000 entries. [`HandlerError::Later`] and [`HandlerError::Failed`] are tried
    /// again with the same page, [`HandlerError::Rejected`] and a panic halt the subscription: nothing is skipped.
    pub fn new<F, Fut>(
        name: &'static str,
        log: Arc<dyn EventLog>,
        checkpoints: Arc<dyn CheckpointStore>,
        filter: Filter,
        handler: F,
    ) -> Self
    where
        F: Fn(Vec<Recorded>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        Self::with_pages(
            name,
            log,
            checkpoints,
            filter,
            (PAGE_MIN, PAGE_MAX),
            handler,
        )
    }

    /// The same with pages of `sizes.0` entries at the head and up to `sizes.1` with a backlog.
    pub fn with_pages<F, Fut>(
        name: &'static str,
        log: Arc<dyn EventLog>,
        checkpoints: Arc<dyn CheckpointStore>,
        filter: Filter,
        sizes: (usize, usize),
        handler: F,
    ) -> Self
    where
        F: Fn(Vec<Recorded>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let handle: Handle = Box::new(move |entries| Box::pin(handler(entries)));
        let inner = Inner {
            name,
            log,
            checkpoints,
            filter,
            sizes,
            handle,
            state: watch::Sender::new(SubscriptionState::Stopped),
            position: watch::Sender::new(Position::START),
            paused: watch::Sender::new(false),
            rewinds: Mutex::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// What it is doing, and every change of it.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<SubscriptionState> {
        self.inner.state.subscribe()
    }

    /// The last entry that the handler has dealt with, as far as this process knows, and every change of it.
    #[must_use]
    pub fn position(&self) -> watch::Receiver<Position> {
        self.inner.position.subscribe()
    }

    /// Follows the log until told to stop; the page at hand is finished first.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = BACKOFF_MIN;
        let mut wake = self.inner.paused.subscribe();
        while !stop.is_cancelled() {
            wake.borrow_and_update();
            let before = *self.inner.position.borrow();
            let Err(interrupted) = self.follow(&stop).await else {
                break;
            };
            if *self.inner.position.borrow() != before {
                backoff = BACKOFF_MIN;
            }
            let longest = self.interrupted(interrupted, backoff);
            backoff = (backoff * 2).min(BACKOFF_MAX);
            tokio::select! {
                () = stop.cancelled() => {}
                _ = wake.changed() => backoff = BACKOFF_MIN,
                () = tokio::time::sleep(longest) => {}
            }
        }
        self.enter(SubscriptionState::Stopped);
        info!(subscription = self.name(), "subscription stopped");
    }

    /// Says why it does not go on; how long to wait before it tries again.
    fn interrupted(&self, interrupted: Interrupted, backoff: Duration) -> Duration {
        match interrupted {
            Interrupted::Later(reason) => {
                warn!(subscription = self.name(), reason, "subscription waits");
                self.enter(SubscriptionState::Waiting(reason));
                backoff
            }
            Interrupted::Halted(reason) => {
                error!(subscription = self.name(), reason, "subscription halted");
                self.enter(SubscriptionState::Halted(reason));
                Duration::MAX
            }
        }
    }

    /// From the saved checkpoint on, until something fails or it is told to stop.
    async fn follow(&self, stop: &CancellationToken) -> Result<(), Interrupted> {
        let inner = &*self.inner;
        let mut rewound = *inner.rewinds.lock().await;
        let mut pages = self.pages().await?;
        let mut paused = inner.paused.subscribe();
        let mut looked: Option<Instant> = None;
        while !stop.is_cancelled() {
            if looked.is_none_or(|at| at.elapsed() >= LOOK) {
                self.look_for_a_pause().await?;
                looked = Some(Instant::now());
            }
            let now = *inner.rewinds.lock().await;
            if now != rewound {
                (rewound, pages) = (now, self.pages().await?);
            }
            if *paused.borrow_and_update() {
                self.enter(SubscriptionState::Paused);
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = paused.changed() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
                // Another process may have rewound it meanwhile.
                pages = self.pages().await?;
                continue;
            }
            self.enter(SubscriptionState::Following);
            let from = *pages.at();
            let page = pages.next().await?;
            if page.through == from {
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = paused.changed() => {}
                    () = pages.wait(LOOK) => {}
                }
                continue;
            }
            self.deal_with(page, rewound).await?;
        }
        Ok(())
    }

    async fn deal_with(&self, page: Page, rewound: u64) -> Result<(), Interrupted> {
        if !page.entries.is_empty() {
            self.handle(page.entries).await?;
        }
        let rewinds = self.inner.rewinds.lock().await;
        if *rewinds == rewound {
            self.save(&page.through).await?;
            self.inner.position.send_replace(page.through.position);
        }
        Ok(())
    }

    /// A handler that panics met an entry it was not made for: it halts and is told of, instead of ending unseen.
    async fn handle(&self, entries: Vec<Recorded>) -> Result<(), HandlerError> {
        let mut handling = pin!(async { (self.inner.handle)(entries).await });
        poll_fn(|context| {
            let polled = catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(context)));
            polled.unwrap_or_else(|panic| {
                let reason = format!("the handler panicked: {}", panic_text(&*panic));
                Poll::Ready(Err(HandlerError::Rejected(reason)))
            })
        })
        .await
    }

    async fn pages(&self) -> Result<Pages, Interrupted> {
        let inner = &*self.inner;
        let kept = inner.checkpoints.load(&self.key()).await?;
        let own = own_checkpoint(&kept, inner.log.id())?;
        let own = own.unwrap_or_else(|| Checkpoint::start(inner.log.id()));
        inner.position.send_replace(own.position);
        let log = Arc::clone(&inner.log);
        Ok(Pages::new(log, inner.filter.clone(), own, inner.sizes))
    }

    async fn save(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.inner.checkpoints.save(&self.key(), checkpoint).await
    }

    /// Consumers, projections and subscriptions share the table of checkpoints.
    fn key(&self) -> String {
        format!("subscription/{}", self.name())
    }

    fn enter(&self, state: SubscriptionState) {
        self.inner.state.send_if_modified(|now| {
            let changed = *now != state;
            *now = state;
            changed
        });
    }
}

impl From<CheckpointError> for Interrupted {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Log(LogError::Unavailable(reason)) => Self::Later(reason),
            other => Self::Halted(other.to_string()),
        }
    }
}

impl From<StoreError> for Interrupted {
    fn from(error: StoreError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<HandlerError> for Interrupted {
    fn from(error: HandlerError) -> Self {
        match error {
            HandlerError::Later(reason) | HandlerError::Failed(reason) => Self::Later(reason),
            HandlerError::Rejected(reason) => Self::Halted(reason),
        }
    }
}
