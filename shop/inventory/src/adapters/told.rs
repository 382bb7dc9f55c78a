//! How what is kept near learns of changes: from whoever appends here, and from the log for all that is appended elsewhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use stanchion::eventsourcing::{
    Aggregate, Altered, Alters, Append, AppendError, Appended, EventLog, Filter, LogError,
    Position, Version,
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::application::known::ProductCache;
use crate::domain::product::Product;

/// Entries read at once while it follows.
const PAGE: usize = 200;
/// A change that nobody told of is found after this.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Before the log is tried again that could not be read.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A log that tells the cache before it tells whoever appends: they read what they wrote.
///
/// An append whose caller goes away is told of by [`follow`], a moment later.
pub(crate) struct Told {
    log: Arc<dyn EventLog>,
    cache: ProductCache,
}

impl Told {
    pub(crate) fn of(log: Arc<dyn EventLog>, cache: ProductCache) -> Arc<dyn EventLog> {
        Arc::new(Altered(Self { log, cache }))
    }
}

#[async_trait]
impl Alters for Told {
    fn inner(&self) -> &dyn EventLog {
        &*self.log
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let sku = (append.stream.category() == Product::CATEGORY && !append.events.is_empty())
            .then(|| append.stream.id().to_owned());
        let appended = self.log.append(append).await;
        if let Some(sku) = sku {
            // Also after an error: it may not be known what became of it.
            let version = appended.as_ref().ok().and_then(|appended| appended.version);
            self.cache.changed(&sku, version).await;
        }
        appended
    }
}

/// Tells the cache of every change in the log, whoever made it, until it is stopped. While the log cannot be read, the cache is
/// not used.
pub(crate) async fn follow(log: Arc<dyn EventLog>, cache: ProductCache, stop: CancellationToken) {
    let following = async {
        let mut after = None;
        let mut changes = log.changes();
        loop {
            let told = *changes.borrow_and_update();
            match step(&*log, &cache, after, told).await {
                Ok(Step { reached, is_behind }) => {
                    after = Some(reached);
                    if is_behind {
                        continue;
                    }
                    cache.followed(true);
                    // A sender that is gone tells nothing: then it is looked now and then.
                    if let Ok(Err(_)) = timeout(LOOK_EVERY, changes.changed()).await {
                        sleep(LOOK_EVERY).await;
                    }
                }
                Err(error) => {
                    cache.followed(false);
                    tracing::debug!(%error, "the product cache cannot follow the log and is not used");
                    sleep(AGAIN_AFTER).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => cache.followed(false),
        () = following => {}
    }
}

struct Step {
    reached: Position,
    is_behind: bool,
}

/// Reads on from there; at first only where the log ends.
async fn step(
    log: &dyn EventLog,
    cache: &ProductCache,
    after: Option<Position>,
    told: Position,
) -> Result<Step, LogError> {
    let Some(after) = after else {
        let reached = log.head().await?;
        return Ok(Step {
            reached,
            is_behind: false,
        });
    };
    let filter = Filter::category(Product::CATEGORY);
    let page = log.read(after, &filter, PAGE).await?;
    let mut latest: HashMap<&str, Version> = HashMap::new();
    for entry in &page {
        // In the order of the log: the last one of a product is its latest.
        latest.insert(entry.stream.id(), entry.version);
    }
    let each = latest
        .into_iter()
        .map(|(sku, version)| cache.changed(sku, Some(version)));
    join_all(each).await;
    let is_behind = page.len() == PAGE;
    let last = page.last().map_or(after, |entry| entry.position);
    // A short page has all that was told of before.
    let reached = if is_behind { last } else { last.max(told) };
    Ok(Step { reached, is_behind })
}
