//! Where a test has the shop die, as by `kill -9`: at a named step of fulfilment, to the commit exact. In debug builds only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use stanchion::eventsourcing::{Altered, Alters, Append, AppendError, Appended, EventLog};

/// `before 3`: before the third append to a fulfilment is committed. `after 3`: when it is, and nobody knows yet.
const DIE: &str = "SHOP_DIE_AT_FULFILMENT";

/// The log as it is, or one in which the process dies where the environment says so.
pub(crate) fn in_log(log: Arc<dyn EventLog>) -> Arc<dyn EventLog> {
    let wish = std::env::var(DIE).ok();
    let wish = wish.as_deref().and_then(|wish| wish.split_once(' '));
    match wish.and_then(|(when, which)| Some((when == "after", which.parse().ok()?))) {
        Some((after, which)) => Arc::new(Altered(Deadly {
            log,
            after,
            which,
            seen: AtomicU64::new(0),
        })),
        None => log,
    }
}

struct Deadly {
    log: Arc<dyn EventLog>,
    after: bool,
    which: u64,
    seen: AtomicU64,
}

/// Nothing is flushed, nothing said goodbye: what the disk has not is gone.
fn die() -> ! {
    std::process::abort()
}

#[async_trait]
impl Alters for Deadly {
    fn inner(&self) -> &dyn EventLog {
        &*self.log
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        // What only notes that a message was dealt with is a step as well.
        let deadly = self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.which;
        if deadly && !self.after {
            die();
        }
        let appended = self.log.append(append).await;
        if deadly {
            die();
        }
        appended
    }
}
